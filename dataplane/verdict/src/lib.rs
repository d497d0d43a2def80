//! The one decision: frames in, verdict out.

//! A slow, obvious second opinion on every verdict.

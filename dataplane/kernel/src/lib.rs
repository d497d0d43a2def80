//! Loads, attaches, pins and updates the XDP program.

//! A policy directory, read and validated whole.

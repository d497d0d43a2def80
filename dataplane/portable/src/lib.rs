//! The verdict over in-memory tables.

//! Network namespaces that make a hospital.

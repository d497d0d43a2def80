//! Validated policy to table image.

//! Postures.

use cordon_policy::Posture;

use super::style::Style;
use crate::text::clean;

/// The name of a posture in capitals, and its style.
pub fn posture(name: &str) -> (String, Style) {
    let style = match name.parse() {
        Ok(Posture::Normal) => Style::Good,
        Ok(Posture::Watch) => Style::Warn,
        _ => Style::Alarm,
    };
    (clean(name).to_uppercase(), style)
}

/// What a posture means. Empty for an unknown posture, of a newer gateway.
pub fn posture_help(name: &str) -> &'static str {
    name.parse().map(Posture::help).unwrap_or_default()
}

//! Calendar days.

use std::fmt;
use std::str::FromStr;

/// A day, without a time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// The day, if it exists in the Gregorian calendar between 1970 and 9999.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Date> {
        let leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            4 | 6 | 9 | 11 => 30,
            2 => 28 + u8::from(leap),
            1..=12 => 31,
            _ => return None,
        };
        ((1..=days).contains(&day) && (1970..=9999).contains(&year)).then_some(Date {
            year,
            month,
            day,
        })
    }
}

impl FromStr for Date {
    type Err = ();

    /// `2027-03-31`.
    fn from_str(text: &str) -> Result<Date, ()> {
        let mut parts = text.split('-');
        let mut part = |digits: usize| -> Result<u16, ()> {
            let part = parts.next().ok_or(())?;
            let plain = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
            if plain {
                part.parse().map_err(|_| ())
            } else {
                Err(())
            }
        };
        let (year, month, day) = (part(4)?, part(2)?, part(2)?);
        if parts.next().is_some() {
            return Err(());
        }
        Date::new(year, month as u8, day as u8).ok_or(())
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

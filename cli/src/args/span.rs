//! Lengths of time on the command line: a number and a unit, e.g. `10s` or `90d`.

use std::time::Duration;

/// Up to hours, for what a person waits for.
pub fn hours(text: &str) -> Result<Duration, String> {
    read(text, &[("s", 1), ("m", 60), ("h", 3600)])
        .ok_or_else(|| format!("{text:?} is not a number of 1 or more and s, m or h, for example 10s"))
}

/// Up to days, for what is to last.
pub fn days(text: &str) -> Result<Duration, String> {
    read(text, &[("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)])
        .ok_or_else(|| format!("{text:?} is not a number of 1 or more and s, m, h or d, for example 30m"))
}

fn read(text: &str, units: &[(&str, u64)]) -> Option<Duration> {
    let split = text.find(|mark: char| !mark.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let (_, seconds) = units.iter().find(|(name, _)| *name == unit)?;
    let number = number.parse::<u64>().ok().filter(|number| *number > 0)?;
    number.checked_mul(*seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        for (text, seconds) in [("1s", 1), ("10s", 10), ("5m", 300), ("24h", 86_400)] {
            assert_eq!(hours(text), Ok(Duration::from_secs(seconds)));
            assert_eq!(days(text), Ok(Duration::from_secs(seconds)));
        }
        assert_eq!(days("90d"), Ok(Duration::from_secs(7_776_000)));
        assert!(hours("1d").is_err());
        for bad in [
            "",
            "s",
            "1",
            "10",
            "0s",
            "-1s",
            "1.5h",
            "1w",
            "1 s",
            "1 h",
            "h1",
            "99999999999999999999h",
            "18446744073709551615h",
            "99999999999999999999d",
        ] {
            assert!(hours(bad).is_err(), "{bad:?}");
            assert!(days(bad).is_err(), "{bad:?}");
        }
    }
}

//! Times, spans and sizes as people read them; always UTC, always with a unit.

use std::time::Duration;

use crate::clock::{WallMs, from_wall_ms};
use crate::units::duration;

/// The day and minute: `2026-11-22 17:32Z`.
pub fn minute(at_ms: WallMs) -> String {
    from_wall_ms(at_ms).format("%Y-%m-%d %H:%MZ").to_string()
}

/// The day and second: `2026-11-22 17:32:04Z`.
pub fn second(at_ms: WallMs) -> String {
    from_wall_ms(at_ms).format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// The time of day: `17:32:04Z`.
pub fn time_of_day(at_ms: WallMs) -> String {
    from_wall_ms(at_ms).format("%H:%M:%SZ").to_string()
}

/// The day: `2026-11-22`.
pub fn day(at_ms: WallMs) -> String {
    from_wall_ms(at_ms).format("%Y-%m-%d").to_string()
}

/// The time from one instant to a later one; zero when the wall clock was set back between them.
pub fn between(from_ms: WallMs, to_ms: WallMs) -> Duration {
    Duration::from_millis(u64::try_from(to_ms.saturating_sub(from_ms)).unwrap_or(0))
}

/// A span in its two largest units: `1d4h`, `12m5s`, `850ms`.
pub fn span(span: Duration) -> String {
    let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let to = match ms {
        0..1000 => 1,
        1000..3_600_000 => 1000,
        3_600_000..86_400_000 => 60_000,
        _ => 3_600_000,
    };
    duration::format(Duration::from_millis(ms / to * to))
}

/// A size: `812 B`, `1.2 MiB`.
#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
pub fn bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut size = bytes as f64 / 1024.0;
    if size < 1.0 {
        return format!("{bytes} B");
    }
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < units.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", units[unit])
}

/// Days of the timeline: `day 15`, `days 15-28`.
pub fn days(days: (u32, u32)) -> String {
    match days {
        (first, last) if first == last => format!("day {first}"),
        (first, last) => format!("days {first}-{last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_as_fine_as_they_are_long() {
        for (ms, text) in [
            (0, "0s"),
            (850, "850ms"),
            (12_345, "12s"),
            (725_999, "12m5s"),
            (5_025_000, "1h23m"),
            (100_799_000, "1d3h"),
        ] {
            assert_eq!(span(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn sizes_have_one_decimal_and_a_unit() {
        for (size, text) in
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_258_291, "1.2 MiB")]
        {
            assert_eq!(bytes(size), text);
        }
    }

    #[test]
    fn times_are_utc_and_say_so() {
        assert_eq!(second(1_893_456_000_000), "2030-01-01 00:00:00Z");
        assert_eq!(time_of_day(1_893_456_004_999), "00:00:04Z");
        assert_eq!(between(5, 3), Duration::ZERO);
    }
}

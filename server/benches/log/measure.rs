//! Clocks, and pairs of measurements by turns.

use std::fs;

use serde_json::{Value, json};

/// Pairs of a raw limit and ours.
pub const PAIRS: usize = 8;
/// Ticks of a second in `/proc/<pid>/stat`; the same on every Linux.
const TICKS_PER_S: f64 = 100.0;

/// CPU seconds of a process and all its threads, user and system; to 10 ms.
pub fn cpu_s(pid: &str) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("Linux has /proc");
    // The name in brackets may have spaces; behind it user time is the 12th field and system time the 13th.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
    ticks as f64 / TICKS_PER_S
}

/// CPU seconds that this process spends meanwhile.
pub fn cpu_of(work: impl FnOnce()) -> f64 {
    let before = cpu_s("self");
    work();
    (cpu_s("self") - before).max(1.0 / TICKS_PER_S)
}

/// Middle of the values.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[half] } else { f64::midpoint(sorted[half - 1], sorted[half]) }
}

/// Three digits that count.
pub fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let scale = 10_f64.powi(2 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}

/// Median and range.
pub fn spread(values: &[f64]) -> Value {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    json!({"median": round(median(values)), "least": round(least), "most": round(most)})
}

/// Both by turns, A B B A; gives (raw, ours) of each pair. One run of each goes before, unmeasured.
pub fn by_turns(
    pairs: usize,
    mut raw: impl FnMut() -> f64,
    mut ours: impl FnMut() -> f64,
) -> Vec<(f64, f64)> {
    raw();
    ours();
    (0..pairs)
        .map(|pair| {
            if pair % 2 == 0 {
                let raw = raw();
                (raw, ours())
            } else {
                let ours = ours();
                (raw(), ours)
            }
        })
        .collect()
}

/// Seconds for so many leaves, raw and ours, as nanoseconds of a leaf and the ratio of the speeds.
pub fn speeds(leaves: u64, pairs: &[(f64, f64)]) -> Value {
    let nanos = |seconds: f64| seconds * 1e9 / leaves as f64;
    let raw: Vec<_> = pairs.iter().map(|(raw, _)| nanos(*raw)).collect();
    let ours: Vec<_> = pairs.iter().map(|(_, ours)| nanos(*ours)).collect();
    let ratios: Vec<_> = pairs.iter().map(|(raw, ours)| raw / ours).collect();
    json!({
        "raw_cpu_ns_per_leaf": spread(&raw),
        "cpu_ns_per_leaf": spread(&ours),
        "ratio": spread(&ratios),
        "pairs": pairs.len(),
        "leaves": leaves,
    })
}

//! Tables for people: no frames, so that a line is a row to `grep` and `awk` as well.

use comfy_table::{ContentArrangement, Table, presets};

use super::output::plain;

pub fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(head.iter().map(|name| name.to_uppercase()));
    for row in rows {
        // What others named must not move the cursor of whoever lists it.
        table.add_row(row.iter().map(|cell| plain(cell)));
    }
    let lines = table.lines().map(|line| format!("{}\n", line.trim()));
    lines.collect()
}

/// 1536 -> `1.5 KiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(300 << 20), "300.0 MiB");
    }

    #[test]
    fn a_row_is_a_line_whatever_is_in_it() {
        let text = table(&["name", "size"], vec![vec!["a\n\u{1b}[2J".into(), "1".into()]]);
        assert_eq!(text.lines().count(), 2);
        assert!(!text.contains('\u{1b}'));
        assert!(text.starts_with("NAME"));
    }
}

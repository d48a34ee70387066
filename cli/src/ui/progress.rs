//! The progress bar: on standard error, on a terminal, and gone when it is done.

use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use veilcloud_sdk::Progress;

use super::output::Output;

const TEMPLATE: &str = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";

const COUNT_TEMPLATE: &str = "{msg} {wide_bar} {pos}/{len} entries {eta}";

struct Bar(ProgressBar);

/// A bar that says `verb` and counts bytes, or None where none may be drawn.
pub fn bar(output: Output, verb: &'static str) -> Option<Arc<dyn Progress>> {
    draw(output, verb, TEMPLATE)
}

/// A bar that says `verb` and counts entries of a log, or None where none may be drawn.
pub fn count(output: Output, verb: &'static str) -> Option<Arc<dyn Progress>> {
    draw(output, verb, COUNT_TEMPLATE)
}

fn draw(output: Output, verb: &'static str, template: &str) -> Option<Arc<dyn Progress>> {
    if !output.shows_progress() {
        return None;
    }
    let bar = ProgressBar::no_length().with_message(verb);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    Some(Arc::new(Bar(bar)))
}

impl Progress for Bar {
    fn start(&self, total: u64) {
        self.0.set_length(total);
    }

    fn advance(&self, n: u64) {
        self.0.inc(n);
    }

    fn finish(&self) {
        self.0.finish_and_clear();
    }
}

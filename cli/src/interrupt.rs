//! Ctrl-C and termination. From the moment the network is used they end the command in order. At a prompt there
//! is nothing to clean up but the terminal: a hidden prompt must give its echo back before the process ends.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::context::Context;
use crate::ui::exit::Exit;

/// Whether somebody is being asked for a line that is shown while it is typed.
static AT_LINE: AtomicBool = AtomicBool::new(false);

/// What asked the process to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Interrupt,
    Terminate,
}

/// Waits for a signal; never ready before [`Context::client`] was called.
pub async fn signal(context: &Context) -> Signal {
    context.online.notified().await;
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            return tokio::select! {
                _ = tokio::signal::ctrl_c() => Signal::Interrupt,
                _ = terminate.recv() => Signal::Terminate,
            };
        }
    }
    match tokio::signal::ctrl_c().await {
        Ok(()) => Signal::Interrupt,
        // Without a handler the system ends the process itself.
        Err(_) => std::future::pending().await,
    }
}

/// Keeps Ctrl-C from ending the process inside a hidden prompt, which turns it into an error of its own after
/// the terminal is as it was. A line prompt later on still ends at once.
pub fn hold() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        static HELD: AtomicBool = AtomicBool::new(false);
        if HELD.swap(true, Ordering::SeqCst) {
            return;
        }
        // Without a handler the system ends the process itself, which is right but for the echo.
        let Ok(mut interrupts) = signal(SignalKind::interrupt()) else { return };
        tokio::spawn(async move {
            while interrupts.recv().await.is_some() {
                if AT_LINE.load(Ordering::SeqCst) {
                    std::process::exit(Exit::Interrupted.code().into());
                }
            }
        });
    }
}

/// Runs a prompt whose input is shown while it is typed.
pub fn at_line<T>(ask: impl FnOnce() -> T) -> T {
    AT_LINE.store(true, Ordering::SeqCst);
    let answer = ask();
    AT_LINE.store(false, Ordering::SeqCst);
    answer
}

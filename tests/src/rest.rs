//! Plain HTTP by `curl`, a client that knows nothing of us.

use std::process::Command;

use anyhow::{Context, Result, bail};

/// An HTTP answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The `reason` of a problem.
    pub fn reason(&self) -> String {
        self.json()["reason"].as_str().unwrap_or_default().to_owned()
    }
}

/// GET without credentials.
pub fn get(url: &str) -> Result<Answer> {
    curl(&[url])
}

/// Runs `curl` with these arguments and reads status, headers and body.
pub fn curl(args: &[&str]) -> Result<Answer> {
    let out = Command::new("curl")
        .args(["--silent", "--show-error", "--include", "--path-as-is", "--max-time", "60"])
        .args(args)
        .output()
        .context("curl runs")?;
    if !out.status.success() {
        bail!("curl {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    }
    parse(&out.stdout)
}

fn parse(mut bytes: &[u8]) -> Result<Answer> {
    loop {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").context("an answer has a head")?;
        let head = std::str::from_utf8(&bytes[..end])?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|l| l.split(' ').nth(1)).context("a status line")?.parse()?;
        let headers = lines
            .filter_map(|l| l.split_once(':'))
            .map(|(n, v)| (n.trim().to_ascii_lowercase(), v.trim().to_owned()))
            .collect();
        bytes = &bytes[end + 4..];
        // "100 Continue" comes before the real head.
        if status != 100 {
            return Ok(Answer { status, headers, body: bytes.to_vec() });
        }
    }
}

//! A transport without a network, for tests: answers from a script, remembers what was sent, and never waits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use prost::Message;

use super::{Call, Failure, Messages, Transport};
use crate::error::ApiError;

/// A moment in 2026.
pub(crate) const NOW_MS: u64 = 1_790_000_000_000;

type Handler = Box<dyn FnMut(&Call) -> Result<Bytes, Failure> + Send>;

#[derive(Clone)]
pub(crate) struct Fake(Arc<Mutex<State>>);

struct State {
    script: VecDeque<Result<Bytes, Failure>>,
    handler: Option<Handler>,
    calls: Vec<Call>,
    now_ms: u64,
    slept: Vec<Duration>,
}

impl Fake {
    pub(crate) fn new(script: impl IntoIterator<Item = Result<Bytes, Failure>>) -> Self {
        let script = script.into_iter().collect();
        let state = State { script, handler: None, calls: Vec::new(), now_ms: NOW_MS, slept: Vec::new() };
        Self(Arc::new(Mutex::new(state)))
    }

    pub(crate) fn answering(handler: impl FnMut(&Call) -> Result<Bytes, Failure> + Send + 'static) -> Self {
        let fake = Self::new([]);
        fake.with(|state| state.handler = Some(Box::new(handler)));
        fake
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.with(|state| std::mem::take(&mut state.calls))
    }

    pub(crate) fn slept(&self) -> Vec<Duration> {
        self.with(|state| state.slept.clone())
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().expect("no test panics while it holds this"))
    }

    fn answer(&self, call: Call) -> Result<Bytes, Failure> {
        self.with(|state| {
            let answer = match &mut state.handler {
                Some(handler) => handler(&call),
                None => state.script.pop_front().expect("the script has an answer left"),
            };
            state.calls.push(call);
            answer
        })
    }
}

impl Transport for Fake {
    fn unary(&self, call: Call) -> BoxFuture<'_, Result<Bytes, Failure>> {
        async move { self.answer(call) }.boxed()
    }

    fn stream(&self, call: Call) -> BoxFuture<'_, Result<Messages, Failure>> {
        async move { self.answer(call).map(|bytes| stream::iter([Ok(bytes)]).boxed()) }.boxed()
    }

    fn now_ms(&self) -> u64 {
        self.with(|state| state.now_ms)
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'_, ()> {
        self.with(|state| {
            state.slept.push(time);
            state.now_ms += u64::try_from(time.as_millis()).expect("a short time");
        });
        async {}.boxed()
    }
}

pub(crate) fn message(answer: &impl Message) -> Result<Bytes, Failure> {
    Ok(Bytes::from(answer.encode_to_vec()))
}

pub(crate) fn refusal(code: &'static str, reason: &str, retry_after_s: Option<u64>) -> Failure {
    Failure::Api(Box::new(ApiError {
        code,
        reason: reason.to_owned(),
        message: String::new(),
        metadata: Default::default(),
        trace_id: None,
        retry_after: retry_after_s.map(Duration::from_secs),
    }))
}

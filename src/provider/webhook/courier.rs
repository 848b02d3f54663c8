//! Posts one signed call to one address from outside: what notifications and events have in common.
//!
//! Repeats nothing and decides nothing; who asks knows what the answer means.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Request, Url};

use super::Secrets;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::provider::guard::{Guard, Guarded, GuardedLine};
use crate::provider::http::retry_after;
use crate::provider::reading::words;
use crate::provider::{CallLimits, Tape};

/// The longest answer that is read, in bytes.
pub(super) const ANSWER_BYTES_MAX: usize = 64 * 1024;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// The way to addresses from outside.
pub struct Courier {
    line: GuardedLine,
    guard: Guard,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posted {
    /// There was an answer.
    Answered {
        /// Its status.
        status: u16,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
        /// The beginning of its body, for the operator.
        words: String,
    },
    /// The address may not be called.
    Forbidden(String),
    /// The certificate is not to be believed.
    Untrusted(String),
    /// Nobody was reached, or there was no answer.
    Failed(String),
}

/// What is posted.
pub struct Letter<'a> {
    /// Where to.
    pub url: &'a Url,
    /// With what it is signed.
    pub secrets: &'a Secrets,
    /// The same however often it is sent; without a dot.
    pub id: &'a str,
    /// The body, JSON.
    pub body: Vec<u8>,
    /// The present.
    pub now: Timestamp,
}

impl Courier {
    /// A way out with these limits that goes where `guard` lets it.
    pub fn new(guard: Guard, connect: Duration, call: Duration) -> Result<Self> {
        let limits = CallLimits {
            connect,
            call,
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        Ok(Self {
            line: GuardedLine::new(guard.clone(), &limits)?,
            guard,
        })
    }

    /// The same, writing its calls down where there is a tape.
    pub fn taped(self, tape: Option<Tape>) -> Self {
        Self {
            line: self.line.taped(tape),
            guard: self.guard,
        }
    }

    /// The URL, if it can ever be called; else what is wrong with it.
    pub fn address(&self, text: &str) -> Result<Url, String> {
        address(&self.guard, text)
    }

    /// Makes one call.
    pub async fn post(&self, letter: Letter<'_>) -> Posted {
        let seconds = letter.now.timestamp();
        let signature = letter.secrets.sign(letter.id, seconds, &letter.body);
        let mut request = Request::new(Method::POST, letter.url.clone());
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(TIMESTAMP, HeaderValue::from(seconds));
        for (name, text) in [(ID, letter.id), (SIGNATURE, &signature)] {
            let Ok(value) = HeaderValue::from_str(text) else {
                return Posted::Failed("the call cannot be written as HTTP".to_owned());
            };
            headers.insert(name, value);
        }
        *request.body_mut() = Some(letter.body.into());
        match self.line.call(request).await {
            Guarded::Answered(answered) => Posted::Answered {
                status: answered.status,
                retry_after: retry_after(&answered.headers),
                words: words(&String::from_utf8_lossy(&answered.body)),
            },
            Guarded::Forbidden(reason) => Posted::Forbidden(reason),
            Guarded::Untrusted(reason) => Posted::Untrusted(reason),
            Guarded::Failed(reason) => Posted::Failed(reason),
        }
    }
}

/// The text as a URL that `guard` lets calls go to; else what is wrong with it.
pub fn address(guard: &Guard, text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|cause| format!("is not a URL ({cause})"))?;
    guard.check(&url)?;
    Ok(url)
}

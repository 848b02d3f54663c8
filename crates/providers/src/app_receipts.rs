//! Receipts that an app's own server sends, for push providers that report nothing themselves.
//!
//! Every push carries `gw_id`. The app's server may return it, with a token, as JSON
//! `{"gw_id": "…", "status": "delivered"}` or `opened`.

use postrider_core::error::Result;
use postrider_core::inbound::CallbackItem;

use crate::callback::{CallbackError, CallbackRequest};
use crate::callback_auth::validate_receipts_token;
use crate::callback_receipts::{CallbackReceiptParser, ReceiptSettings};

/// Parses the receipts of an app.
pub(crate) struct AppReceipts(CallbackReceiptParser);

impl AppReceipts {
    /// Returns a parser, or None without a token: unauthenticated receipts are not accepted.
    pub fn new(token: Option<&str>) -> Result<Option<Self>> {
        let Some(token) = token else { return Ok(None) };
        validate_receipts_token(Some(token))?;
        CallbackReceiptParser::new(&settings(token)).map(Self).map(Some)
    }

    /// Authenticates a callback and returns its receipts.
    pub fn parse_callback(
        parser: Option<&Self>,
        request: &CallbackRequest,
    ) -> Result<Vec<CallbackItem>, CallbackError> {
        let receipts = parser.ok_or(CallbackError::NotSupported)?.0.parse(request)?;
        Ok(receipts.into_iter().map(CallbackItem::Receipt).collect())
    }
}

fn settings(token: &str) -> ReceiptSettings {
    let statuses = |words: [&str; 2]| words.map(str::to_owned).to_vec();
    ReceiptSettings {
        reference: "json:gw_id".to_owned(),
        status: "json:status".to_owned(),
        reason: None,
        at: Some("json:at".to_owned()),
        list: None,
        delivered: statuses(["delivered", "received"]),
        bounced: Vec::new(),
        invalid: Vec::new(),
        opened: statuses(["opened", "read"]),
        ignored: Vec::new(),
        token: Some(token.to_owned()),
        token_header: None,
        hmac: None,
        unsigned: false,
    }
}

//! Receipts that an app's own server sends, for push providers that report nothing themselves.
//!
//! Every push carries `gw_id`. The app's server may return it, with a token, as JSON
//! `{"gw_id": "…", "status": "delivered"}` or `opened`.

use postrider_core::error::Result;

use crate::callback_auth::validate_receipts_token;
use crate::callback_receipts::{CallbackReceiptParser, ReceiptSettings};

/// Returns the parser of an app's receipts. Returns None without a token, because unauthenticated receipts are not
/// accepted.
pub(crate) fn app_receipt_parser(token: Option<&str>) -> Result<Option<CallbackReceiptParser>> {
    validate_receipts_token(token)?;
    token.map(|token| CallbackReceiptParser::new(&app_receipt_settings(token))).transpose()
}

fn app_receipt_settings(token: &str) -> ReceiptSettings {
    let status_list = |statuses: [&str; 2]| statuses.map(str::to_owned).to_vec();
    ReceiptSettings {
        reference: "json:gw_id".to_owned(),
        status: "json:status".to_owned(),
        reason: None,
        at: Some("json:at".to_owned()),
        list: None,
        delivered: status_list(["delivered", "received"]),
        bounced: Vec::new(),
        invalid: Vec::new(),
        opened: status_list(["opened", "read"]),
        ignored: Vec::new(),
        token: Some(token.to_owned()),
        token_header: None,
        hmac: None,
        unsigned: false,
    }
}

//! Selects the code of a provider API: message ids, responses and receipts in its format.

use super::api::{ReceiptRequest, SandboxApi, SandboxReceipt, SandboxResponse, SubmittedMessage};
use super::call_result::CallResult;
use super::{simple, texting, twilio};

/// Returns a message id in the API's format, made from random bytes.
pub(super) fn message_id(api: SandboxApi, random: [u8; 16]) -> String {
    match api {
        SandboxApi::Simple | SandboxApi::Texting => {
            uuid::Builder::from_random_bytes(random).into_uuid().to_string()
        }
        SandboxApi::Twilio => twilio::message_sid(random),
    }
}

/// Returns the response to a call; none when the result has no response in the API's format.
pub(super) fn response(
    api: SandboxApi,
    call_result: CallResult,
    message_id: &str,
    message: &SubmittedMessage,
) -> Option<SandboxResponse> {
    match api {
        SandboxApi::Simple => simple::response(call_result, message_id),
        SandboxApi::Texting => texting::response(call_result, message_id),
        SandboxApi::Twilio => twilio::response(call_result, message_id, message),
    }
}

/// Returns the receipt as the API's provider sends it.
pub(super) fn encode_receipt(receipt: &SandboxReceipt) -> ReceiptRequest {
    match receipt.api {
        SandboxApi::Simple => simple::encode_receipt(receipt),
        SandboxApi::Texting => texting::encode_receipt(receipt),
        SandboxApi::Twilio => twilio::encode_receipt(receipt),
    }
}

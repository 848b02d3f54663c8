//! SMPP: framing, bodies of `deliver_sm` and `data_sm`, receipts, texts in every data coding.

use postrider_smpp::alphabet::{DefaultAlphabet, decode_text};
use postrider_smpp::message_id::MessageIdFormat;
use postrider_smpp::pdu::{PduFrame, ShortMessage, describe_pdu, split_frame};
use postrider_smpp::receipt::classify;

/// Splits the input into PDUs and parses each body as both kinds of short message.
pub fn run(input: &[u8]) {
    let mut rest = input;
    while let PduFrame::Complete(pdu, length) = split_frame(rest) {
        assert!(length <= rest.len() && length >= 16, "PDU of {length} bytes in {} bytes", rest.len());
        drop(describe_pdu(pdu.command, pdu.status, pdu.sequence, pdu.body));
        for message in [ShortMessage::parse_deliver_sm(pdu.body), ShortMessage::parse_data_sm(pdu.body)] {
            for format in
                [MessageIdFormat::Same, MessageIdFormat::HexThenDecimal, MessageIdFormat::DecimalThenHex]
            {
                drop(classify(&message, format));
            }
            for alphabet in [DefaultAlphabet::Gsm, DefaultAlphabet::Latin1] {
                drop(decode_text(message.data_coding, message.text_octets(), alphabet));
            }
        }
        rest = &rest[length..];
    }
}

/// Returns PDUs of the trials with message centres: receipts, texts in parts and in UCS-2, a PDU without its end.
pub fn seeds() -> Vec<Vec<u8>> {
    const PDUS: [&str; 6] = [
        "0000003b00000005000000000000000100010131353030353535303130330005003330303031000000000000000008000afeff00530054004f0050",
        "0000003b00000005000000000000000100010131353030353535303130330005003330303031004800000000000000000a05000301010153544f50",
        "00000054000000050000000000000001000101313530303535353030303100050041636d65000400000000000008002400690064003a0075003100200073007400610074003a00440045004c0049005600520044",
        "0000004d00000005000000000000000100010131353030353535393939390005003330303031000000000000000000001c69643a3130303120737461743a554e44454c4956206572723a303031",
        "00000043000000050000000000000001000101313530303535353030303100050041636d65000400000000000000001369643a6e3120737461743a44454c4956524400",
        "0000001080000015000000000000000700000010",
    ];
    PDUS.iter().map(|hex| decode_hex(hex)).collect()
}

fn decode_hex(text: &str) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks_exact(2);
    pairs.filter_map(|pair| Some(digit(&pair[0])? << 4 | digit(&pair[1])?)).collect()
}

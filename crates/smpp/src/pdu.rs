//! PDU framing and bodies: splits received octets into PDUs, parses bodies tolerantly, and encodes PDUs.
//!
//! `submit_sm` bodies are encoded with rusmpp. Received PDUs are parsed here, because rusmpp rejects a whole PDU if one
//! octet is invalid, and SMSCs often send such octets. Parsing never panics, never fails and never reads past the end
//! of the PDU.

use data_encoding::HEXLOWER;
use rusmpp_core::CommandId;

use crate::udh::{self, Concatenation, ReferenceKind};

#[cfg(test)]
mod tests;

/// Size of the PDU header, in bytes.
const PDU_HEADER_BYTES: usize = 16;

/// Maximum size of a received PDU, in bytes: a `message_payload` of 64 KiB and the fields around it.
const PDU_BYTES_MAX: usize = 70_000;

/// Bit that is set in the `command_id` of every response.
pub const RESPONSE_BIT: u32 = 0x8000_0000;

/// `command_id` values.
#[allow(missing_docs)] // The names are those of the specification.
pub mod command {
    pub const GENERIC_NACK: u32 = 0x8000_0000;
    pub const BIND_TRANSCEIVER: u32 = 0x09;
    pub const SUBMIT_SM: u32 = 0x04;
    pub const DELIVER_SM: u32 = 0x05;
    pub const DATA_SM: u32 = 0x103;
    pub const UNBIND: u32 = 0x06;
    pub const ENQUIRE_LINK: u32 = 0x15;
    pub const OUTBIND: u32 = 0x0B;
    pub const ALERT_NOTIFICATION: u32 = 0x102;
}

/// Tags of the optional parameters that are read.
mod tag {
    pub const RECEIPTED_MESSAGE_ID: u16 = 0x001E;
    pub const MESSAGE_STATE: u16 = 0x0427;
    pub const NETWORK_ERROR_CODE: u16 = 0x0423;
    pub const MESSAGE_PAYLOAD: u16 = 0x0424;
    pub const SAR_MSG_REF_NUM: u16 = 0x020C;
    pub const SAR_TOTAL_SEGMENTS: u16 = 0x020E;
    pub const SAR_SEGMENT_SEQNUM: u16 = 0x020F;
}

/// A received PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pdu<'a> {
    /// `command_id`, see [`command`].
    pub command: u32,
    /// `command_status`, see [`command_status`](crate::command_status).
    pub status: u32,
    /// `sequence_number`.
    pub sequence: u32,
    /// Everything after the header.
    pub body: &'a [u8],
}

/// Result of [`split_frame`].
pub enum PduFrame<'a> {
    /// A complete PDU and its length in bytes.
    Complete(Pdu<'a>, usize),
    /// The rest of the PDU has not been received yet.
    Incomplete,
    /// The `command_length` is invalid, so the start of the next PDU is unknown.
    Invalid,
}

/// Returns the first PDU of the received bytes.
pub fn split_frame(received: &[u8]) -> PduFrame<'_> {
    let Some(pdu_length) = read_u32(received, 0) else {
        return PduFrame::Incomplete;
    };
    let pdu_length = usize::try_from(pdu_length).unwrap_or(usize::MAX);
    if !(PDU_HEADER_BYTES..=PDU_BYTES_MAX).contains(&pdu_length) {
        return PduFrame::Invalid;
    }
    let (Some(command), Some(status), Some(sequence), Some(body)) = (
        read_u32(received, 4),
        read_u32(received, 8),
        read_u32(received, 12),
        received.get(PDU_HEADER_BYTES..pdu_length),
    ) else {
        return PduFrame::Incomplete;
    };
    let pdu = Pdu { command, status, sequence, body };
    PduFrame::Complete(pdu, pdu_length)
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

impl<'a> Pdu<'a> {
    /// Returns the first text of the body: the message id in a `submit_sm_resp`, or the system id in a bind response.
    pub fn first_c_octet_string(&self) -> &'a [u8] {
        PduReader(self.body).c_octet_string()
    }
}

/// The fields of a `deliver_sm` or `data_sm` that this crate uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // The names are those of the specification.
pub struct ShortMessage<'a> {
    pub source_addr_ton: u8,
    pub source_addr: &'a [u8],
    pub destination_addr: &'a [u8],
    pub esm_class: u8,
    pub data_coding: u8,
    pub short_message: &'a [u8],
    pub receipted_message_id: Option<&'a [u8]>,
    pub message_state: Option<u8>,
    pub network_error_code: Option<[u8; 3]>,
    pub sar_msg_ref_num: Option<u16>,
    pub sar_total_segments: u8,
    pub sar_segment_seqnum: u8,
}

impl<'a> ShortMessage<'a> {
    /// Parses the body of a `deliver_sm`; fields that are missing at its end are empty.
    pub fn parse_deliver_sm(body: &'a [u8]) -> Self {
        let mut reader = PduReader(body);
        let mut message = Self::parse_addresses(&mut reader);
        message.esm_class = reader.octet();
        reader.octets(2);
        reader.c_octet_string();
        reader.c_octet_string();
        reader.octets(2);
        message.data_coding = reader.octet();
        reader.octets(1);
        let length = usize::from(reader.octet());
        message.short_message = reader.octets(length);
        message.parse_tlvs(&mut reader);
        message
    }

    /// Parses the body of a `data_sm`; fields that are missing at its end are empty.
    pub fn parse_data_sm(body: &'a [u8]) -> Self {
        let mut reader = PduReader(body);
        let mut message = Self::parse_addresses(&mut reader);
        message.esm_class = reader.octet();
        reader.octets(1);
        message.data_coding = reader.octet();
        message.parse_tlvs(&mut reader);
        message
    }

    /// Returns the text without its user data header.
    pub fn text_octets(&self) -> &'a [u8] {
        udh::strip_header(self.esm_class, self.short_message)
    }

    /// Returns the place of this part within a longer message, stated by the user data header or by `sar_*` parameters.
    pub fn concatenation(&self) -> Option<Concatenation> {
        let from_parameters = || {
            let (total, number) = (self.sar_total_segments, self.sar_segment_seqnum);
            Concatenation::new(ReferenceKind::Sar, self.sar_msg_ref_num?, total, number)
        };
        udh::find_concatenation(self.esm_class, self.short_message).or_else(from_parameters)
    }

    fn parse_addresses(reader: &mut PduReader<'a>) -> Self {
        reader.c_octet_string();
        let source_addr_ton = reader.octet();
        reader.octets(1);
        let source_addr = reader.c_octet_string();
        reader.octets(2);
        let destination_addr = reader.c_octet_string();
        Self { source_addr_ton, source_addr, destination_addr, ..Self::default() }
    }

    fn parse_tlvs(&mut self, reader: &mut PduReader<'a>) {
        while let [high, low, length_high, length_low, ..] = *reader.0 {
            reader.octets(4);
            let tlv_value = reader.octets(usize::from(u16::from_be_bytes([length_high, length_low])));
            match u16::from_be_bytes([high, low]) {
                tag::RECEIPTED_MESSAGE_ID => {
                    self.receipted_message_id = Some(PduReader(tlv_value).c_octet_string());
                }
                tag::MESSAGE_STATE => self.message_state = tlv_value.first().copied(),
                tag::NETWORK_ERROR_CODE => self.network_error_code = tlv_value.try_into().ok(),
                tag::MESSAGE_PAYLOAD if self.short_message.iter().all(|octet| *octet == 0) => {
                    self.short_message = tlv_value;
                }
                tag::SAR_MSG_REF_NUM => {
                    self.sar_msg_ref_num = tlv_value.try_into().ok().map(u16::from_be_bytes);
                }
                tag::SAR_TOTAL_SEGMENTS => {
                    self.sar_total_segments = tlv_value.first().copied().unwrap_or_default();
                }
                tag::SAR_SEGMENT_SEQNUM => {
                    self.sar_segment_seqnum = tlv_value.first().copied().unwrap_or_default();
                }
                _ => {}
            }
        }
    }
}

/// The unread rest of a body. Past its end, integers are zero and texts are empty.
struct PduReader<'a>(&'a [u8]);

impl<'a> PduReader<'a> {
    fn octets(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn octet(&mut self) -> u8 {
        self.octets(1).first().copied().unwrap_or_default()
    }

    /// Reads up to the next zero octet. At the end of the body the zero may be missing.
    fn c_octet_string(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|octet| *octet == 0);
        let text = self.octets(end.unwrap_or(self.0.len()));
        self.octets(1);
        text
    }
}

/// Appends a PDU to `pdu_octets`.
pub fn encode_pdu(pdu_octets: &mut Vec<u8>, command: u32, status: u32, sequence: u32, pdu_body: &[u8]) {
    let length = u32::try_from(PDU_HEADER_BYTES + pdu_body.len()).unwrap_or(u32::MAX);
    for number in [length, command, status, sequence] {
        pdu_octets.extend(number.to_be_bytes());
    }
    pdu_octets.extend(pdu_body);
}

/// The credentials of a bind request.
#[derive(Clone)]
pub struct BindRequest<'a> {
    /// Name of the account.
    pub system_id: &'a str,
    /// Password of the account.
    pub password: &'a str,
    /// Type of the client system, where an SMSC requires one.
    pub system_type: &'a str,
}

impl BindRequest<'_> {
    /// Encodes the body of a bind request: interface version 3.4, no TON, NPI and address range.
    ///
    /// rusmpp is not used here, because it limits passwords to 8 characters and SMSCs do not.
    pub fn encode_body(&self) -> Vec<u8> {
        let texts = [self.system_id, self.password, self.system_type].map(|text| format!("{text}\0"));
        [texts.concat().as_bytes(), &[0x34, 0, 0, 0]].concat()
    }
}

/// Returns the `command_id` of the response to a request.
pub fn response_id(command: u32) -> u32 {
    command | RESPONSE_BIT
}

/// Returns the name of a command for logs.
pub fn command_name(command: u32) -> String {
    format!("{:?}", CommandId::from(command))
}

/// Formats a PDU for a transcript: its name and header, and its body in hexadecimal and as text.
pub fn describe_pdu(command: u32, status: u32, sequence: u32, pdu_body: &[u8]) -> String {
    let hex = HEXLOWER.encode(pdu_body);
    let printable = |octet: &u8| if (b' '..0x7F).contains(octet) { char::from(*octet) } else { '.' };
    let text: String = pdu_body.iter().map(printable).collect();
    format!("{} status 0x{status:08X} sequence {sequence} {hex} {text}", command_name(command))
        .trim_end()
        .to_owned()
}

//! PDUs on the wire: cut out of what arrives, read tolerantly, and written.
//!
//! What we write goes through the codec of rusmpp; what we read does not, because that refuses a whole PDU for one octet
//! out of place, and message centres put many there. Nothing read here can crash or outgrow its PDU.

use rusmpp_core::CommandId;

use super::settings::SmppSettings;

/// The length of a PDU without a body.
pub(super) const PDU_HEADER_BYTES: usize = 16;

/// The longest PDU that is read: 64 KiB of text and what stands around it.
const PDU_BYTES_MAX: usize = 70_000;

/// Set in the command of every answer.
pub(super) const RESPONSE_BIT: u32 = 0x8000_0000;

/// The PDUs we know by number.
pub(super) mod command {
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

/// Optional parameters we read.
mod tag {
    pub const RECEIPTED_MESSAGE_ID: u16 = 0x001E;
    pub const MESSAGE_STATE: u16 = 0x0427;
    pub const NETWORK_ERROR_CODE: u16 = 0x0423;
    pub const MESSAGE_PAYLOAD: u16 = 0x0424;
}

/// One PDU as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pdu<'a> {
    pub command: u32,
    pub status: u32,
    pub sequence: u32,
    pub body: &'a [u8],
}

/// What stands at the beginning of what has arrived.
pub(super) enum PduFrame<'a> {
    /// A whole PDU, and its length.
    Complete(Pdu<'a>, usize),
    /// Not yet a whole one.
    Incomplete,
    /// An impossible length: nothing behind it can be trusted.
    Invalid,
}

/// Cuts the first PDU out of what has arrived.
pub(super) fn split_frame(arrived: &[u8]) -> PduFrame<'_> {
    let Some(length) = read_u32(arrived, 0) else {
        return PduFrame::Incomplete;
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if !(PDU_HEADER_BYTES..=PDU_BYTES_MAX).contains(&length) {
        return PduFrame::Invalid;
    }
    let (Some(command), Some(status), Some(sequence), Some(body)) = (
        read_u32(arrived, 4),
        read_u32(arrived, 8),
        read_u32(arrived, 12),
        arrived.get(PDU_HEADER_BYTES..length),
    ) else {
        return PduFrame::Incomplete;
    };
    let pdu = Pdu {
        command,
        status,
        sequence,
        body,
    };
    PduFrame::Complete(pdu, length)
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

impl<'a> Pdu<'a> {
    /// The first text of the body: the id in the answer to a submit, the server's name in that to a bind.
    pub fn first_c_octet_string(&self) -> &'a [u8] {
        PduReader(self.body).c_octet_string()
    }
}

/// What a message centre delivers, by deliver_sm or data_sm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ShortMessage<'a> {
    pub source_addr_ton: u8,
    pub source_addr: &'a [u8],
    pub destination_addr: &'a [u8],
    pub esm_class: u8,
    pub data_coding: u8,
    pub short_message: &'a [u8],
    pub receipted_message_id: Option<&'a [u8]>,
    pub message_state: Option<u8>,
    pub network_error_code: Option<[u8; 3]>,
}

impl<'a> ShortMessage<'a> {
    /// Reads the body of a deliver_sm as far as it goes.
    pub fn parse_deliver_sm(body: &'a [u8]) -> Self {
        let mut reader = PduReader(body);
        let mut read = Self::parse_addresses(&mut reader);
        read.esm_class = reader.octet();
        reader.octets(2);
        reader.c_octet_string();
        reader.c_octet_string();
        reader.octets(2);
        read.data_coding = reader.octet();
        reader.octets(1);
        let length = usize::from(reader.octet());
        read.short_message = reader.octets(length);
        read.parse_tlvs(&mut reader);
        read
    }

    /// Reads the body of a data_sm as far as it goes.
    pub fn parse_data_sm(body: &'a [u8]) -> Self {
        let mut reader = PduReader(body);
        let mut read = Self::parse_addresses(&mut reader);
        read.esm_class = reader.octet();
        reader.octets(1);
        read.data_coding = reader.octet();
        read.parse_tlvs(&mut reader);
        read
    }

    /// What it says, without the header that may stand in front.
    pub fn text_octets(&self) -> &'a [u8] {
        /// esm_class: there is one.
        const UDHI: u8 = 0x40;
        match self.short_message.split_first() {
            Some((length, rest)) if self.esm_class & UDHI != 0 => {
                rest.get(usize::from(*length)..).unwrap_or_default()
            }
            _ => self.short_message,
        }
    }

    fn parse_addresses(reader: &mut PduReader<'a>) -> Self {
        reader.c_octet_string();
        let from_ton = reader.octet();
        reader.octets(1);
        let from = reader.c_octet_string();
        reader.octets(2);
        let to = reader.c_octet_string();
        Self {
            source_addr_ton: from_ton,
            source_addr: from,
            destination_addr: to,
            ..Self::default()
        }
    }

    fn parse_tlvs(&mut self, reader: &mut PduReader<'a>) {
        while let [high, low, length_high, length_low, ..] = *reader.0 {
            reader.octets(4);
            let value = reader.octets(usize::from(u16::from_be_bytes([length_high, length_low])));
            match u16::from_be_bytes([high, low]) {
                tag::RECEIPTED_MESSAGE_ID => {
                    self.receipted_message_id = Some(PduReader(value).c_octet_string())
                }
                tag::MESSAGE_STATE => self.message_state = value.first().copied(),
                tag::NETWORK_ERROR_CODE => self.network_error_code = value.try_into().ok(),
                tag::MESSAGE_PAYLOAD if self.short_message.is_empty() => self.short_message = value,
                _ => {}
            }
        }
    }
}

/// What is left of a body. Past its end there are zeros and empty texts.
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

    /// Up to the next zero, which may be missing at the end.
    fn c_octet_string(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|octet| *octet == 0);
        let text = self.octets(end.unwrap_or(self.0.len()));
        self.octets(1);
        text
    }
}

/// Puts a PDU behind what is to be written.
pub(super) fn encode_pdu(out: &mut Vec<u8>, command: u32, status: u32, sequence: u32, body: &[u8]) {
    let length = u32::try_from(PDU_HEADER_BYTES + body.len()).unwrap_or(u32::MAX);
    for number in [length, command, status, sequence] {
        out.extend(number.to_be_bytes());
    }
    out.extend(body);
}

/// The body of the PDU that opens a session. Not the codec's, which knows no passwords of more than 8 characters.
pub(super) fn encode_bind_body(settings: &SmppSettings) -> Vec<u8> {
    let mut body = Vec::new();
    for text in [&settings.system_id, &settings.password, &settings.system_type] {
        body.extend(text.as_bytes());
        body.push(0);
    }
    // Version 3.4, no type and plan, no range of addresses.
    body.extend([0x34, 0, 0, 0]);
    body
}

/// The command of the answer to a request.
pub(super) fn response_id(command: u32) -> u32 {
    command | RESPONSE_BIT
}

/// A command's name for the log.
pub(super) fn command_name(command: u32) -> String {
    format!("{:?}", CommandId::from(command))
}

/// A PDU for a person who reads along: its name, its header, and its body in hexadecimal and letters.
pub(super) fn describe_pdu(command: u32, status: u32, sequence: u32, body: &[u8]) -> String {
    let octets: String = body.iter().map(|octet| format!("{octet:02x}")).collect();
    let shown = |octet: &u8| {
        if (b' '..0x7F).contains(octet) {
            char::from(*octet)
        } else {
            '.'
        }
    };
    let letters: String = body.iter().map(shown).collect();
    format!(
        "{} status 0x{status:08X} sequence {sequence} {octets} {letters}",
        command_name(command)
    )
    .trim_end()
    .to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rusmpp_core::command::borrowed::Command;
    use rusmpp_core::decode::borrowed::DecodeWithLength;
    use rusmpp_core::pdus::borrowed::Pdu as Strict;

    use super::super::tests::{hex, settings};
    use super::*;

    /// The receipt of the reference.
    const RECEIPT: &str = "000000b8 00000005 00000000 0000004d \
        00010139383931323132333435363700050041636d6500040000000000000000 \
        7569643a3442324631304137207375623a30303120646c7672643a3030312073 \
        75626d697420646174653a3236303732313134303320646f6e6520646174653a \
        3236303732313134303420737461743a44454c49565244206572723a30303020 \
        746578743a596f757220636f64652069732034373131001e0009344232463130 \
        4137000427000102";

    fn complete_pdu(bytes: &[u8]) -> Pdu<'_> {
        match split_frame(bytes) {
            PduFrame::Complete(pdu, length) => {
                assert_eq!(length, bytes.len());
                pdu
            }
            PduFrame::Incomplete | PduFrame::Invalid => panic!("it is a whole PDU"),
        }
    }

    #[test]
    fn a_bind_is_written_as_the_reference_shows() {
        let mut out = Vec::new();
        encode_pdu(
            &mut out,
            command::BIND_TRANSCEIVER,
            0,
            1,
            &encode_bind_body(&settings("")),
        );
        let shown = "00000023000000090000000000000001\
                     67777573657200733363726574000034000000";
        assert_eq!(out, hex(shown));
    }

    #[test]
    fn a_receipt_is_read_as_the_codec_reads_it() {
        let bytes = hex(RECEIPT);
        let pdu = complete_pdu(&bytes);
        let read = ShortMessage::parse_deliver_sm(pdu.body);
        assert_eq!(
            (pdu.command, pdu.status, pdu.sequence),
            (command::DELIVER_SM, 0, 77)
        );
        assert_eq!(
            (read.source_addr_ton, read.source_addr, read.destination_addr),
            (1, &b"989121234567"[..], &b"Acme"[..])
        );
        assert_eq!(
            (read.esm_class, read.data_coding, read.message_state),
            (4, 0, Some(2))
        );
        assert_eq!(read.receipted_message_id, Some(&b"4B2F10A7"[..]));
        let (strict, _) = Command::<'_, 8>::decode(&bytes[4..], bytes.len() - 4).unwrap();
        let Some(Strict::DeliverSm(strict)) = strict.pdu() else {
            panic!("the codec reads a deliver_sm");
        };
        assert_eq!(strict.short_message().bytes(), read.short_message);
        assert_eq!(strict.source_addr.as_str().as_bytes(), read.source_addr);
    }

    #[test]
    fn answers_without_a_body_are_whole() {
        let pdu = hex("00000010 80000004 00000058 00000002");
        assert_eq!(
            (
                complete_pdu(&pdu).status,
                complete_pdu(&pdu).first_c_octet_string()
            ),
            (0x58, &b""[..])
        );
        let pdu = hex("00000019 80000004 00000000 00000002 344232463130413700");
        assert_eq!(complete_pdu(&pdu).first_c_octet_string(), b"4B2F10A7");
        let unterminated = hex("00000018 80000004 00000000 00000002 3442324631304137");
        assert_eq!(complete_pdu(&unterminated).first_c_octet_string(), b"4B2F10A7");
    }

    #[test]
    fn what_arrives_is_cut_wherever_it_was_divided() {
        let bytes = hex(RECEIPT);
        for length in 0..bytes.len() {
            assert!(
                matches!(split_frame(&bytes[..length]), PduFrame::Incomplete),
                "{length} bytes"
            );
        }
        let twice = [&bytes[..], &bytes[..]].concat();
        assert!(matches!(split_frame(&twice), PduFrame::Complete(_, length) if length == bytes.len()));
        for length in ["00000000", "0000000f", "00011171", "ffffffff"] {
            assert!(matches!(split_frame(&hex(length)), PduFrame::Invalid), "{length}");
        }
    }

    #[test]
    fn a_header_in_front_of_a_text_is_left_out() {
        let said = |esm_class, text| {
            ShortMessage {
                esm_class,
                short_message: text,
                ..ShortMessage::default()
            }
            .text_octets()
        };
        assert_eq!(said(0x40, b"\x05\x00\x03\xa7\x02\x01STOP"), b"STOP");
        assert_eq!(said(0x00, b"STOP"), b"STOP");
        assert_eq!(said(0x40, b"\xffSTOP"), b"");
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(bytes in any::<Vec<u8>>()) {
            let _ = split_frame(&bytes);
            let delivered = ShortMessage::parse_deliver_sm(&bytes);
            prop_assert!(delivered.short_message.len() + delivered.source_addr.len() + delivered.destination_addr.len() <= bytes.len());
            let _ = (delivered.text_octets(), ShortMessage::parse_data_sm(&bytes));
        }
    }
}

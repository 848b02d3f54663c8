//! An SMSC that accepts every message at once.
//!
//! Parses only the PDU fields that it needs. With receipts, it reports each message as delivered right after its response.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Serves until killed.
pub async fn serve_smsc(at: String, receipts: bool) {
    let listener = TcpListener::bind(at).await.expect("bind");
    loop {
        let (stream, _) = listener.accept().await.expect("accept");
        tokio::spawn(session(stream, receipts));
    }
}

async fn session(mut stream: TcpStream, receipts: bool) {
    let _ = stream.set_nodelay(true);
    let (mut input, mut output) = (Vec::with_capacity(64 * 1024), Vec::with_capacity(64 * 1024));
    let mut number = 0_u64;
    loop {
        match stream.read_buf(&mut input).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let mut read = 0;
        while let Some(length) =
            read_u32(&input[read..], 0).filter(|length| input.len() - read >= *length as usize)
        {
            let pdu = &input[read..read + length as usize];
            read += length as usize;
            let (Some(command), Some(sequence)) = (read_u32(pdu, 4), read_u32(pdu, 12)) else {
                return;
            };
            match command {
                // bind_transceiver
                0x09 => write_pdu(&mut output, 0x8000_0009, sequence, b"smsc\0"),
                // submit_sm
                0x04 => {
                    number += 1;
                    let id = format!("{number:08X}\0");
                    write_pdu(&mut output, 0x8000_0004, sequence, id.as_bytes());
                    if receipts {
                        write_pdu(&mut output, 0x05, sequence, &encode_receipt(&id));
                    }
                }
                // enquire_link, unbind
                0x15 | 0x06 => write_pdu(&mut output, command | 0x8000_0000, sequence, b""),
                _ => {}
            }
        }
        input.drain(..read);
        if stream.write_all(&output).await.is_err() {
            return;
        }
        output.clear();
    }
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

fn write_pdu(out: &mut Vec<u8>, command: u32, sequence: u32, body: &[u8]) {
    let length = u32::try_from(16 + body.len()).expect("a short body");
    for number in [length, command, 0, sequence] {
        out.extend(number.to_be_bytes());
    }
    out.extend(body);
}

/// Returns the body of a `deliver_sm` with a receipt in its text and in its optional parameters.
fn encode_receipt(id: &str) -> Vec<u8> {
    let id = id.trim_end_matches('\0');
    let text = format!(
        "id:{id} sub:001 dlvrd:001 submit date:2607211403 done date:2607211404 stat:DELIVRD err:000 text:hello"
    );
    let mut body = b"\0\x01\x01989120000000\0\x05\x00Bench\0\x04\0\0\0\0\0\0\0\0".to_vec();
    body.push(u8::try_from(text.len()).expect("a short text"));
    body.extend(text.as_bytes());
    body.extend([0, 0x1E, 0, u8::try_from(id.len() + 1).expect("a short id")]);
    body.extend(id.as_bytes());
    body.push(0);
    body.extend([0x04, 0x27, 0, 1, 2]);
    body
}

//! Tests of the status table.

use rusmpp_core::CommandStatus;

use super::*;

#[test]
fn names_equal_those_of_the_codec() {
    // The codec uses the names of SMPP 5.0 for optional parameters and has no reserved values.
    let comparable = COMMAND_STATUSES.iter().filter(|row| !(0xC0..=0xC4).contains(&row.0) && row.0 < 0x100);
    for (number, name, _) in comparable {
        let codec_name = format!("{:?}", CommandStatus::from(*number)).to_ascii_uppercase();
        let name = name.replace('_', "");
        assert_eq!(codec_name.replace('_', ""), format!("ESME{name}"), "{number:x}");
    }
}

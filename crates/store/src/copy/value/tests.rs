use super::*;

fn sum(rows: &[&[CopyValue]]) -> TableChecksum {
    let mut sum = TableChecksum::default();
    rows.iter().for_each(|row| sum.add(row));
    sum
}

#[test]
fn a_checksum_is_independent_of_the_order_and_detects_every_difference() {
    let (one, other) = ([CopyValue::Integer(1), CopyValue::Null], [CopyValue::Integer(2), CopyValue::Null]);
    assert_eq!(sum(&[&one, &other]), sum(&[&other, &one]));
    let text = |text: &str| CopyValue::Text(text.to_owned());
    for (one, other) in [
        ([text("a"), text("bc")], [text("ab"), text("c")]),
        ([text(""), CopyValue::Null], [CopyValue::Null, text("")]),
        ([text("1"), CopyValue::Null], [CopyValue::Integer(1), CopyValue::Null]),
        ([text("a"), CopyValue::Null], [CopyValue::Bytes(b"a".to_vec()), CopyValue::Null]),
    ] {
        assert_ne!(sum(&[&one]), sum(&[&other]));
    }
}

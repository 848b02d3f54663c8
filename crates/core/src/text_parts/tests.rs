use proptest::prelude::*;

use super::*;

#[test]
fn bodies_have_the_parts_that_carriers_count() {
    use Alphabet::{Gsm7, Ucs2};
    let of = |text: &str, times: usize| text.repeat(times);
    for (body, alphabet, count, units) in [
        (String::new(), Gsm7, 1, 0),
        (of("a", 1), Gsm7, 1, 1),
        (of("a", 160), Gsm7, 1, 160),
        (of("a", 161), Gsm7, 2, 161),
        (of("a", 306), Gsm7, 2, 306),
        (of("a", 307), Gsm7, 3, 307),
        (of("à", 160), Gsm7, 1, 160),
        (of("€", 80), Gsm7, 1, 160),
        (of("€", 81), Gsm7, 2, 162),
        (of("€", 152), Gsm7, 2, 304),
        (of("€", 153), Gsm7, 3, 306),
        (of("a", 152) + "€" + &of("a", 152), Gsm7, 3, 306),
        (of("^{}\\[~]|", 10), Gsm7, 1, 160),
        ("\u{C}".to_owned(), Gsm7, 1, 2),
        ("`".to_owned(), Ucs2, 1, 1),
        ("\t".to_owned(), Ucs2, 1, 1),
        (of("س", 70), Ucs2, 1, 70),
        (of("س", 71), Ucs2, 2, 71),
        (of("س", 134), Ucs2, 2, 134),
        (of("س", 135), Ucs2, 3, 135),
        (of("a", 70) + "س", Ucs2, 2, 71),
        (of("😀", 35), Ucs2, 1, 70),
        (of("😀", 36), Ucs2, 2, 72),
        (of("😀", 66), Ucs2, 2, 132),
        (of("😀", 67), Ucs2, 3, 134),
    ] {
        let counted = count_parts(&body);
        assert_eq!(counted, TextParts { alphabet, count, units }, "{body}");
    }
}

#[test]
fn the_whole_basic_table_is_gsm_7_bit() {
    let table = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ\
                 ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
    assert_eq!(table.chars().count(), 127);
    assert!(table.chars().all(|c| gsm7::units(c) == 1));
    assert!("\u{C}^{}\\[~]|€".chars().all(|c| gsm7::units(c) == 2));
    assert!("`ç\t\u{0}\u{7F}اÀ".chars().all(|c| gsm7::units(c) == 0));
}

fn body() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z€\\[\\]^|à]{0,700}",
        "[a-z€سلام😀👍]{0,400}",
        "[😀a]{0,300}",
        "\\PC{0,300}",
        "[ -~\n]{0,700}",
    ]
}

proptest! {
    #[test]
    fn the_parts_concatenate_to_the_body_and_each_fits(body in body()) {
        let counted = count_parts(&body);
        let parts = split_parts(&body);
        prop_assert_eq!(parts.concat(), body);
        prop_assert_eq!(counted.count as usize, parts.len());
        let limit = if parts.len() == 1 {
            counted.alphabet.single_part_units_max()
        } else {
            counted.alphabet.concatenated_part_units_max()
        };
        let units = |part: &String| part.chars().map(|c| counted.alphabet.units(c)).sum::<usize>();
        prop_assert!(parts.iter().all(|part| units(part) <= limit));
        prop_assert_eq!(parts.iter().map(units).sum::<usize>(), counted.units);
    }
}

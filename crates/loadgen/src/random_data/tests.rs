use super::*;
use postrider_core::address::{AddressKind, PhoneRules, parse_address};

#[test]
fn generated_phone_numbers_are_possible_numbers() {
    let random = Random::seeded(1);
    for _ in 0..2_000 {
        let number = random_phone_number(&random);
        assert_eq!(number.len(), 10);
        assert!(parse_address(AddressKind::Phone, &number, &PhoneRules::default()).is_ok(), "{number}");
    }
}

#[test]
fn generated_texts_have_1_to_100_letters_and_digits() {
    let random = Random::seeded(2);
    let texts: Vec<String> = (0..2_000).map(|_| random_text(&random)).collect();
    let lengths = texts.iter().map(String::len);
    assert_eq!((lengths.clone().min(), lengths.max()), (Some(1), Some(100)));
    assert!(texts.iter().flat_map(|text| text.chars()).all(|letter| letter.is_ascii_alphanumeric()));
    assert_eq!(random_text(&Random::seeded(3)), random_text(&Random::seeded(3)));
}

#[test]
fn generated_names_are_two_words_of_letters_and_rarely_repeat() {
    let random = Random::seeded(4);
    let names: std::collections::HashSet<String> = (0..1_000).map(|_| random_name(&random)).collect();
    assert!(names.len() > 900, "{}", names.len());
    for name in &names {
        let words: Vec<&str> = name.split(' ').collect();
        assert_eq!(words.len(), 2, "{name}");
        assert!(words.iter().all(|word| word.chars().all(char::is_alphabetic)), "{name}");
    }
    assert_eq!(random_name(&Random::seeded(5)), random_name(&Random::seeded(5)));
}

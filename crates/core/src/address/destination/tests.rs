use super::*;

fn regions(codes: &[&str]) -> Vec<PhoneRegion> {
    codes.iter().map(|code| PhoneRegion::parse(code).unwrap()).collect()
}

fn check(number: &str, lists: [&[&str]; 2], allows_premium: bool) -> Result<(), AddressError> {
    let lists = lists.map(regions);
    DestinationRules { countries: [&lists[0], &lists[1]], allows_premium, prefixes: &[] }.check_phone(number)
}

#[test]
fn premium_and_shared_cost_numbers_are_refused_unless_allowed() {
    // Premium rate in the US, the UK, Germany and on all networks; shared cost in the UK, Germany and on all networks.
    for number in [
        "+19002345678",
        "+449098790123",
        "+499001234567",
        "+979123456789",
        "+448431234567",
        "+4918012345",
        "+80812345678",
    ] {
        assert_eq!(check(number, [&[], &[]], false), Err(AddressError::PremiumNumber), "{number}");
        assert_eq!(check(number, [&[], &[]], true), Ok(()), "{number}");
    }
    // A mobile and a fixed-line number, a toll-free one, and one that no numbering plan has assigned.
    for number in ["+989122222222", "+982122222222", "+18002345678", "+989992222222"] {
        assert_eq!(check(number, [&[], &[]], false), Ok(()), "{number}");
    }
}

#[test]
fn a_number_is_in_a_country_of_every_list() {
    use AddressError::CountryNotAllowed;
    for (number, lists, expected) in [
        ("+989122222222", [&["IR"][..], &[][..]], Ok(())),
        ("+989122222222", [&[], &["DE", "IR"]], Ok(())),
        ("+989122222222", [&["IR"], &["DE"]], Err(CountryNotAllowed)),
        ("+989122222222", [&["DE"], &["IR"]], Err(CountryNotAllowed)),
        // Countries that share a country code: Canada and the US, Guernsey and the UK, Kazakhstan and Russia.
        ("+16132345678", [&["CA"], &[]], Ok(())),
        ("+16132345678", [&["US"], &[]], Err(CountryNotAllowed)),
        ("+447781123456", [&["GG"], &[]], Ok(())),
        ("+447781123456", [&["GB"], &[]], Err(CountryNotAllowed)),
        ("+77710009998", [&["RU"], &[]], Err(CountryNotAllowed)),
        // Not assigned: the main region of the country code.
        ("+11112345678", [&["US"], &[]], Ok(())),
        ("+11112345678", [&["CA"], &[]], Err(CountryNotAllowed)),
        // Satellite networks belong to no country.
        ("+881612345678", [&["IR", "US"], &[]], Err(CountryNotAllowed)),
    ] {
        assert_eq!(check(number, lists, false), expected, "{number} {lists:?}");
    }
}

#[test]
fn only_numbers_with_an_allowed_beginning_pass() {
    let prefixes = ["+98912".to_owned(), "+49".to_owned()];
    let rules = DestinationRules { countries: [&[], &[]], allows_premium: false, prefixes: &prefixes };
    for (number, result) in [
        ("+989122222222", Ok(())),
        ("+491711234567", Ok(())),
        ("+989352222222", Err(AddressError::PrefixNotAllowed)),
        ("+13125550101", Err(AddressError::PrefixNotAllowed)),
    ] {
        assert_eq!(rules.check_phone(number), result, "{number}");
    }
}

use super::*;

fn warnings(fsync: &str, pages: &str, standbys: &str, several_hosts: bool) -> usize {
    let settings = DurabilitySettings {
        fsync: fsync.to_owned(),
        full_page_writes: pages.to_owned(),
        synchronous_standby_names: standbys.to_owned(),
    };
    settings.warnings(several_hosts).len()
}

#[test]
fn only_unsafe_settings_are_warned_about() {
    assert_eq!(warnings("on", "on", "", false), 0);
    assert_eq!(warnings("on", "on", "ANY 1 (*)", true), 0);
    assert_eq!(warnings("", "", "ANY 1 (*)", true), 0);
    assert_eq!(warnings("on", "on", "", true), 1);
    assert_eq!(warnings("off", "off", "", true), 3);
}

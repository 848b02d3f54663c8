use super::*;

fn parsed(url: &str) -> RedisUrl {
    RedisUrl::parse(url).unwrap_or_else(|refusal| panic!("{url}: {}", refusal.chain()))
}

#[test]
fn one_host_may_be_written_in_many_ways() {
    for (url, place) in [
        ("redis://h", "h:6379"),
        ("redis://h:1/3", "h:1"),
        ("valkey://[::1]:1", "::1:1"),
        ("rediss://anna:pw@h:1/3?prefix=p:", "h:1"),
        ("valkeys://h", "h:6379"),
        ("unix:/run/redis.sock?db=1", "/run/redis.sock"),
        ("redis+unix:///run/redis.sock", "/run/redis.sock"),
    ] {
        let address = parsed(url);
        assert!(matches!(address.topology, Topology::Standalone), "{url}");
        assert_eq!(address.hosts_text(), place);
    }
    let address = parsed("redis://anna:open%20sesame@h/3");
    let settings = address.hosts[0].redis_settings();
    assert_eq!((settings.username(), settings.db()), (Some("anna"), 3));
    assert_eq!(settings.password(), Some("open sesame"));
}

#[test]
fn a_cluster_keeps_all_names_in_one_slot() {
    for url in [
        "redis-cluster://a:1,b:2",
        "redis://a:1?cluster=true",
        "rediss-cluster://:pw@a:1,b:2",
    ] {
        let address = parsed(url);
        assert!(matches!(address.topology, Topology::Cluster), "{url}");
        assert_eq!(address.prefix, "{postrider:}");
    }
    assert_eq!(parsed("redis-cluster://a?prefix={p}:").prefix, "{p}:");
    assert_eq!(parsed("redis://a?prefix=p:").prefix, "p:");
}

#[test]
fn sentinels_have_their_own_port_and_sign_in() {
    let address = parsed("redis+sentinel://:pw@a,b:2,[::1]/main/3?sentinel_password=other");
    assert_eq!(address.hosts_text(), "a:26379, b:2, ::1:26379");
    assert_eq!(address.hosts[0].redis_settings().db(), 3);
    let Topology::Sentinels {
        master,
        credentials: sign_in,
    } = address.topology
    else {
        panic!("sentinels");
    };
    assert_eq!((master.as_str(), sign_in.password()), ("main", Some("other")));
}

#[test]
fn what_cannot_be_used_is_refused_without_repeating_it() {
    for (url, why) in [
        ("redis://:secret@a,b", "several hosts"),
        ("redis+sentinel://:secret@a", "call their master"),
        ("redis+magic://:secret@a", "no such way"),
        ("rediss://:secret@a#insecure", "before #"),
        ("redis://:secret@a?ca=/x.pem", "two s"),
        (
            "rediss://:secret@a?ca=/nowhere/x.pem",
            "/nowhere/x.pem cannot be read",
        ),
        ("redis-cluster://:secret@a,", "cannot be used"),
    ] {
        let refusal = RedisUrl::parse(url).err().expect(url).chain();
        assert!(refusal.contains(why), "{url}: {refusal}");
        assert!(!refusal.contains("secret"), "{refusal}");
    }
}

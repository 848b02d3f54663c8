use super::*;

fn parsed(url: &str) -> RedisUrl {
    RedisUrl::parse(url).unwrap_or_else(|error| panic!("{url}: {}", error.chain()))
}

#[test]
fn one_host_can_be_written_in_many_ways() {
    for (url, host) in [
        ("redis://h", "h:6379"),
        ("redis://h:1/3", "h:1"),
        ("valkey://[::1]:1", "::1:1"),
        ("rediss://anna:pw@h:1/3?prefix=p:", "h:1"),
        ("valkeys://h", "h:6379"),
        ("unix:/run/redis.sock?db=1", "/run/redis.sock"),
        ("redis+unix:///run/redis.sock", "/run/redis.sock"),
    ] {
        let parsed_url = parsed(url);
        assert!(matches!(parsed_url.topology, Topology::Standalone), "{url}");
        assert_eq!(parsed_url.hosts_text(), host);
    }
    let parsed_url = parsed("redis://anna:open%20sesame@h/3");
    let settings = parsed_url.hosts[0].redis_settings();
    assert_eq!((settings.username(), settings.db()), (Some("anna"), 3));
    assert_eq!(settings.password(), Some("open sesame"));
}

#[test]
fn all_keys_in_a_cluster_are_in_one_slot() {
    for url in ["redis-cluster://a:1,b:2", "redis://a:1?cluster=true", "rediss-cluster://:pw@a:1,b:2"] {
        let parsed_url = parsed(url);
        assert!(matches!(parsed_url.topology, Topology::Cluster), "{url}");
        assert_eq!(parsed_url.prefix, "{postrider:}");
    }
    assert_eq!(parsed("redis-cluster://a?prefix={p}:").prefix, "{p}:");
    assert_eq!(parsed("redis://a?prefix=p:").prefix, "p:");
}

#[test]
fn sentinels_have_their_own_port_and_credentials() {
    let parsed_url = parsed("redis+sentinel://:pw@a,b:2,[::1]/main/3?sentinel_password=other");
    assert_eq!(parsed_url.hosts_text(), "a:26379, b:2, ::1:26379");
    assert_eq!(parsed_url.hosts[0].redis_settings().db(), 3);
    let Topology::Sentinels { master, credentials } = parsed_url.topology else {
        panic!("sentinels");
    };
    assert_eq!((master.as_str(), credentials.password()), ("main", Some("other")));
}

#[test]
fn an_invalid_url_is_an_error_that_does_not_repeat_it() {
    for (url, reason) in [
        ("redis://:secret@a,b", "several hosts"),
        ("redis+sentinel://:secret@a", "name of the master"),
        ("redis+magic://:secret@a", "unknown scheme"),
        ("rediss://:secret@a#insecure", "the text after it"),
        ("redis://:secret@a?ca=/x.pem", "use rediss://"),
        ("rediss://:secret@a?ca=/nowhere/x.pem", "/nowhere/x.pem cannot be read"),
        ("redis-cluster://:secret@a,", "invalid queue url"),
    ] {
        let error = RedisUrl::parse(url).err().expect(url).chain();
        assert!(error.contains(reason), "{url}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

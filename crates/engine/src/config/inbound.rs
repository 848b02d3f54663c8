//! Reads `[[inbound]]`: the routes of inbound messages.

use postrider_core::channel::Channel;
use postrider_core::error::Result;
use postrider_core::keywords::{normalize_keyword, normalize_sender};
use postrider_core::name::ConfigName;
use postrider_providers::webhook;

use super::inbound_route::{InboundPattern, InboundRoute, InboundRouteTarget};
use super::table_reader::TableReader;
use super::text::did_you_mean;
use super::types::{ApiKey, EventsConfig, ProviderConfig};

/// The value of `webhook` that stands for the `events_url` of the account.
const ACCOUNT_WEBHOOK: &str = "account";

/// The parts of the configuration that routes name.
pub(super) struct RouteContext<'a> {
    pub channels: &'a [Channel],
    pub providers: &'a [ProviderConfig],
    pub keys: &'a [ApiKey],
    pub events: &'a EventsConfig,
}

/// Reads `[[inbound]]`.
pub(super) fn read_inbound_routes(
    top: &TableReader<'_>,
    context: &RouteContext<'_>,
) -> Result<Vec<InboundRoute>> {
    let mut routes: Vec<InboundRoute> = Vec::new();
    for table in top.table_list("inbound")? {
        table.reject_unknown_keys()?;
        let route = read_route(&table, context)?;
        if routes.iter().any(|other| other.name == route.name) {
            return Err(table.error_at("name", "is a duplicate; every route needs its own name"));
        }
        routes.push(route);
    }
    Ok(routes)
}

fn read_route(table: &TableReader<'_>, context: &RouteContext<'_>) -> Result<InboundRoute> {
    let name = table.get::<String>("name")?.unwrap_or_default();
    if name.parse::<ConfigName>().is_err() {
        return Err(
            table.error_at("name", "is missing or has other characters than letters, digits, - and _")
        );
    }
    let account = table.get::<String>("account")?.unwrap_or_default();
    let key = context.keys.iter().find(|key| key.name == account);
    if key.is_none() && !account.is_empty() {
        let suggestion = did_you_mean(&account, context.keys.iter().map(|key| key.name.as_str()));
        let problem = format!("is not the name of a table in [[keys]]: {account}{suggestion}");
        return Err(table.error_at("account", &problem));
    }
    let provider = table.get::<String>("provider")?;
    let provider_names = || context.providers.iter().map(|provider| &provider.name);
    let find_provider = |name: String| {
        let suggestion = did_you_mean(&name, provider_names().map(ConfigName::as_str));
        provider_names().find(|known| known.as_str() == name).cloned().ok_or_else(|| {
            table.error_at("provider", &format!("is not an enabled provider: {name}{suggestion}"))
        })
    };
    Ok(InboundRoute {
        name,
        to: table.list("to")?.iter().map(|receiver| normalize_sender(receiver)).collect(),
        keywords: read_keywords(table)?,
        pattern: read_pattern(table)?,
        provider: provider.map(find_provider).transpose()?,
        target: read_target(table, context, key)?,
        account,
    })
}

fn read_keywords(table: &TableReader<'_>) -> Result<Vec<String>> {
    let words = table.list("keyword")?;
    let keywords = words.iter().map(|word| {
        let normalized = normalize_keyword(word).filter(|word| !word.contains(' '));
        let problem = format!("must list single words with letters or digits: {word:?}");
        normalized.ok_or_else(|| table.error_at("keyword", &problem))
    });
    keywords.collect()
}

fn read_pattern(table: &TableReader<'_>) -> Result<Option<InboundPattern>> {
    let Some(text) = table.get::<String>("pattern")?.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let pattern = InboundPattern::parse(&text);
    pattern
        .map(Some)
        .map_err(|cause| table.error_at("pattern", &format!("is not a regular expression: {cause}")))
}

/// Reads the target; a route has one at most.
fn read_target(
    table: &TableReader<'_>,
    context: &RouteContext<'_>,
    key: Option<&ApiKey>,
) -> Result<Option<InboundRouteTarget>> {
    let mut targets = Vec::new();
    for name in ["webhook", "get_url", "twilio_url", "email"] {
        if let Some(text) = table.get::<String>(name)?.filter(|text| !text.is_empty()) {
            targets.push((name, text));
        }
    }
    if let [_, (name, _), ..] = &targets[..] {
        return Err(table
            .error_at(name, "is a second target; a route has one of webhook, get_url, twilio_url, email"));
    }
    let Some((name, text)) = targets.pop() else {
        return Ok(None);
    };
    if name == "email" {
        return read_email(table, context, text).map(Some);
    }
    if name == "webhook" {
        check_can_sign(table, context, key)?;
        if text == ACCOUNT_WEBHOOK {
            let has_url = key.is_some_and(|key| key.events.url.is_some());
            let problem = "is \"account\", but the account has no events_url";
            return if has_url {
                Ok(Some(InboundRouteTarget::AccountWebhook))
            } else {
                Err(table.error_at(name, problem))
            };
        }
    }
    let url = webhook::parse_url(&context.events.egress_policy, &text);
    let url = url.map_err(|cause| table.error_at(name, &cause))?;
    Ok(Some(match name {
        "webhook" => InboundRouteTarget::Webhook(url.to_string()),
        // The pattern stays as it is written, because parsing changes some escapes.
        "get_url" => InboundRouteTarget::GetUrl(text),
        _ => InboundRouteTarget::TwilioUrl(text),
    }))
}

fn read_email(
    table: &TableReader<'_>,
    context: &RouteContext<'_>,
    address: String,
) -> Result<InboundRouteTarget> {
    let name = table.get::<String>("email_channel")?.unwrap_or_default();
    let channel_names = || context.channels.iter().map(|channel| &channel.name);
    let suggestion = did_you_mean(&name, channel_names().map(ConfigName::as_str));
    let problem = format!("is not an enabled channel: {name}{suggestion}");
    let channel = channel_names().find(|known| known.as_str() == name).cloned();
    let channel = channel.ok_or_else(|| table.error_at("email_channel", &problem))?;
    Ok(InboundRouteTarget::Email { channel, address })
}

fn check_can_sign(table: &TableReader<'_>, context: &RouteContext<'_>, key: Option<&ApiKey>) -> Result<()> {
    let key_has_secrets = key.is_some_and(|key| !key.events.secrets.is_empty());
    if key_has_secrets || !context.events.secrets.is_empty() {
        return Ok(());
    }
    let problem = "needs a secret to sign with: add secrets to [events], or events_secrets to the account; create one \
                   with: console events secret";
    Err(table.error_at("webhook", problem))
}

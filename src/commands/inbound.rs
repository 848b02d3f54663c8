//! `console inbound`: lists the texts that people sent to our numbers.
//!
//! Phone numbers are complete in JSON, and masked in text unless the configuration shows them.

use super::{displayed_address, format_time, open_gateway, or_dash, print_line, replace_control_characters};
use crate::cli::{Cli, InboundArgs, InboundFormat};
use postrider_core::address::{AddressKind, parse_address};
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::inbound_record::{InboundAction, InboundRecord};
use postrider_engine::config::Config;
use postrider_engine::inbound::InboundView;
use postrider_store::InboundQuery;

/// Prints the messages.
pub async fn run(cli: &Cli, arguments: &InboundArgs) -> Result<()> {
    let gateway = open_gateway(cli).await?;
    let now = gateway.clock.now();
    let normalize = |address: &String| {
        // A name or an id at a messenger stays as it is.
        parse_address(AddressKind::Phone, address, &gateway.config.phone).unwrap_or_else(|_| address.clone())
    };
    let query = InboundQuery {
        from: arguments.from.as_ref().map(normalize),
        to: arguments.to.clone(),
        provider: arguments.provider.clone(),
        account: None,
        since: arguments.since.map(|since| since.resolve(now)),
        until: arguments.until.map(|until| until.resolve(now)),
        before: None,
        limit: usize::try_from(arguments.limit).unwrap_or(usize::MAX),
    };
    let records = gateway.store.inbound_messages(query).await?;
    if records.is_empty() && arguments.output == InboundFormat::Text {
        return print_line("no inbound messages");
    }
    for record in records {
        match arguments.output {
            InboundFormat::Json => print_json(record)?,
            InboundFormat::Text => print_line(format_record(&record, &gateway.config))?,
        }
    }
    Ok(())
}

fn print_json(record: InboundRecord) -> Result<()> {
    let json = serde_json::to_string(&InboundView::from(record));
    print_line(json.map_err(|cause| {
        Error::with_source(ErrorKind::Internal, "cannot write an inbound message as JSON", cause)
    })?)
}

fn format_record(record: &InboundRecord, config: &Config) -> String {
    let keyword = match record.action {
        InboundAction::None => "",
        action => action.as_str(),
    };
    format!(
        "{}  {}  {} -> {}  {:11}  {}  {keyword:7}  {}",
        format_time(record.received_at),
        record.provider,
        displayed_address(&record.from, config),
        record.to,
        record.state(),
        or_dash(record.route.clone()),
        replace_control_characters(&record.body),
    )
}

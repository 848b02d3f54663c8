//! Reads `[[keywords]]`: opt-out, opt-in and help keywords by channel, sender and language.

use postrider_core::channel::Channel;
use postrider_core::error::{Error, Result};
use postrider_core::keywords::{
    KeywordAction, KeywordRule, KeywordRules, Keywords, keyword_languages, normalize_sender,
};

use super::table_reader::TableReader;
use super::text::did_you_mean;

/// Longest answer to a keyword, in characters: two text parts in any alphabet.
const REPLY_CHARS_MAX: usize = 134;

/// Reads `[[keywords]]`; without any, the built-in keywords of all languages count everywhere.
pub(super) fn read_keywords(top: &TableReader<'_>, channels: &[Channel]) -> Result<KeywordRules> {
    let tables = top.table_list("keywords")?;
    let rules = tables.iter().map(|table| read_rule(table, channels)).collect::<Result<Vec<_>>>()?;
    Ok(KeywordRules::new(rules))
}

fn read_rule(table: &TableReader<'_>, channels: &[Channel]) -> Result<KeywordRule> {
    table.reject_unknown_keys()?;
    let channel = match table.get::<String>("channel")? {
        None => None,
        Some(name) => {
            let channel_names = || channels.iter().map(|channel| channel.name.as_str());
            let channel = channels.iter().find(|channel| channel.name.as_str() == name);
            let unknown = || {
                let suggestion = did_you_mean(&name, channel_names());
                table.error_at("channel", &format!("is not an enabled channel: {name}{suggestion}"))
            };
            Some(channel.ok_or_else(unknown)?.name.clone())
        }
    };
    let sender = table.get::<String>("sender")?.map(|sender| normalize_sender(&sender));
    Ok(KeywordRule { channel, sender, keywords: read_rule_keywords(table)? })
}

fn read_rule_keywords(table: &TableReader<'_>) -> Result<Keywords> {
    let mut keywords = match table.get::<Vec<String>>("languages")? {
        None => Keywords::default(),
        Some(languages) => {
            if let Some(unknown) =
                languages.iter().find(|name| keyword_languages().all(|known| known != **name))
            {
                let known = keyword_languages().collect::<Vec<_>>().join(", ");
                let problem = format!("has no built-in keywords for {unknown}; known are {known}");
                return Err(table.error_at("languages", &problem));
            }
            Keywords::of_languages(&languages.iter().map(String::as_str).collect::<Vec<_>>())
        }
    };
    for (name, action) in
        [("opt_out", KeywordAction::OptOut), ("opt_in", KeywordAction::OptIn), ("help", KeywordAction::Help)]
    {
        if let Some(words) = table.get::<Vec<String>>(name)? {
            keywords.replace(action, &words).map_err(|word| no_keyword_error(table, name, &word))?;
        }
    }
    let removed_words = table.list("without")?;
    keywords.remove(&removed_words).map_err(|word| no_keyword_error(table, "without", &word))?;
    keywords.help_reply = read_reply(table, "help_reply")?;
    keywords.opt_out_reply = read_reply(table, "opt_out_reply")?;
    keywords.opt_in_reply = read_reply(table, "opt_in_reply")?;
    Ok(keywords)
}

fn read_reply(table: &TableReader<'_>, name: &str) -> Result<Option<String>> {
    let reply = table.get::<String>(name)?.filter(|reply| !reply.is_empty());
    if reply.as_ref().is_some_and(|reply| reply.chars().count() > REPLY_CHARS_MAX) {
        return Err(table.error_at(name, &format!("is longer than {REPLY_CHARS_MAX} characters")));
    }
    Ok(reply)
}

fn no_keyword_error(table: &TableReader<'_>, name: &str, word: &str) -> Error {
    table.error_at(name, &format!("has a word without letters and digits: {word:?}"))
}

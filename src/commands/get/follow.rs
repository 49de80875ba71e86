//! `seaway get --watch`: the list again and again, and of each only what is new.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::args::{Form, GetArgs, ShowArgs};
use crate::ask::Replicas;
use crate::process::exit::{Failure, print_while_read};
use crate::process::log;

/// How long a list is taken to be true.
const EVERY: Duration = Duration::from_secs(2);

/// Prints the list until nobody reads it. Only the first one may fail: who watches a rollout of
/// Seaway wants to see its end.
pub(super) async fn follow(replicas: &Replicas, args: &GetArgs) -> Result<(), Failure> {
    let is_text = matches!(args.show.output, Form::Text | Form::Wide | Form::Name);
    let show = ShowArgs {
        // An age is never twice the same.
        timestamps: args.show.timestamps || is_text,
        ..args.show.clone()
    };
    let mut shown = Shown::default();
    let mut failed = String::new();
    loop {
        match super::list(replicas, &args.list, &show).await {
            Ok(text) => {
                failed.clear();
                if !print_while_read(&shown.news(text, is_text))? {
                    return Ok(());
                }
            }
            Err(failure) if shown.is_first() => return Err(failure),
            Err(failure) if failure.to_string() == failed => {}
            Err(failure) => {
                failed = failure.to_string();
                log::say(&format!("error: {failed}"));
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// What was printed last.
#[derive(Debug, Default)]
struct Shown(Option<String>);

impl Shown {
    fn is_first(&self) -> bool {
        self.0.is_none()
    }

    /// What of a list was not in the last one: of text its new lines, however wide its columns are.
    fn news(&mut self, text: String, is_text: bool) -> String {
        let news = match &self.0 {
            Some(last) if *last == text => String::new(),
            Some(last) if is_text => {
                let words = |line: &str| -> Vec<String> {
                    line.split_whitespace().map(str::to_owned).collect()
                };
                let known: BTreeSet<Vec<String>> = last.lines().map(words).collect();
                let new = text.lines().filter(|line| !known.contains(&words(line)));
                new.map(|line| format!("{line}\n")).collect()
            }
            _ => text.clone(),
        };
        self.0 = Some(text);
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_list_what_is_new_is_printed() {
        let mut shown = Shown::default();
        let mut news = |text: &str| shown.news(text.to_owned(), true);
        assert_eq!(
            news("2 proxies\nNAME  STATE\nn1  synced\n"),
            "2 proxies\nNAME  STATE\nn1  synced\n"
        );
        assert_eq!(news("2 proxies\nNAME  STATE\nn1  synced\n"), "");
        // Another width of the columns is nothing new.
        let wider = "3 proxies\nNAME     STATE\nn1       synced\nlonger  behind\n";
        assert_eq!(news(wider), "3 proxies\nlonger  behind\n");
        assert_eq!(news("2 proxies\nNAME  STATE\nn1  synced\n"), "2 proxies\n");
        let mut whole = |text: &str| shown.news(text.to_owned(), false);
        assert_eq!(whole("{}\n"), "{}\n");
        assert_eq!(whole("{}\n"), "");
    }
}

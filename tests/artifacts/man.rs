//! The manual pages: well-formed, with every option that exists and no other.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Command, CommandFactory};
use eic_authorized_keys::Options;

use crate::tools::{command, lacks, read, repository, said};

fn pages() -> [(PathBuf, Command); 2] {
    [Options::command(), ec2_instance_connect::Options::command()].map(|program| {
        let page = repository().join(format!("packaging/man/{}.8", program.get_name()));
        (page, program)
    })
}

#[test]
fn mandoc_has_nothing_to_say_of_the_pages() {
    if lacks("manual pages by mandoc", &["mandoc"], "mandoc") {
        return;
    }
    for (page, _) in pages() {
        let lint = command("mandoc")
            .args(["-Tlint", "-Wwarning"])
            .arg(page)
            .output()
            .unwrap();
        assert!(lint.status.success(), "{}", said(&lint));
    }
}

#[test]
fn groff_has_nothing_to_say_of_the_pages() {
    if lacks("manual pages by groff", &["man", "groff"], "man-db groff-base") {
        return;
    }
    for (page, _) in pages() {
        let man = command("man")
            .env("LC_ALL", "C.UTF-8")
            // The output must not depend on the terminal in which the tests run.
            .env("MANWIDTH", "80")
            .args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"])
            .arg(page)
            .output()
            .unwrap();
        assert!(man.status.success() && man.stderr.is_empty(), "{}", said(&man));
    }
}

#[test]
fn the_pages_tell_of_each_option_and_verb_and_of_no_other() {
    for (page, program) in pages() {
        let text = read(&page);
        let (told, verbs) = (options_told(&text), program.get_subcommands().map(Command::get_name));
        let mut there = options_of(&program);
        for verb in program.get_subcommands() {
            there.extend(options_of(verb));
        }
        // clap adds these; the pages need not document them.
        let own = BTreeSet::from(["help".to_owned(), "version".to_owned()]);
        let foreign = match program.get_name() {
            // The page also explains this option of the other program.
            "ec2-instance-connect" => BTreeSet::from(["chain".to_owned()]),
            _ => BTreeSet::new(),
        };
        let told: BTreeSet<_> = told
            .into_iter()
            .filter(|option| !own.contains(option) && !foreign.contains(option))
            .collect();
        assert_eq!(told, there, "{}", page.display());
        for verb in verbs {
            assert!(text.contains(&format!(".Cm {verb}\n")), "{}: {verb}", page.display());
        }
        for status in 0..=2 {
            assert!(
                text.contains(&format!(".It {status}\n")),
                "{}: {status}",
                page.display()
            );
        }
    }
}

fn options_of(command: &Command) -> BTreeSet<String> {
    command
        .get_arguments()
        .filter_map(|argument| argument.get_long())
        .map(str::to_owned)
        .collect()
}

/// mdoc writes `--root` as `.Fl -root`.
fn options_told(page: &str) -> BTreeSet<String> {
    let words: Vec<&str> = page.split_whitespace().collect();
    words
        .windows(2)
        .filter(|pair| matches!(pair[0], "Fl" | ".Fl" | "|"))
        .filter_map(|pair| pair[1].strip_prefix('-').map(str::to_owned))
        .collect()
}

#[test]
fn the_pages_name_their_version_and_each_other() {
    let [first, second] = pages();
    for ((page, program), (_, other)) in [(&first, &second), (&second, &first)] {
        let text = read(page);
        let title = program.get_name().to_uppercase();
        assert!(text.contains(&format!("\n.Dt {title} 8\n")), "{}", page.display());
        let system = format!("\n.Os \"ec2-instance-connect {}\"\n", env!("CARGO_PKG_VERSION"));
        assert!(text.contains(&system), "{}", page.display());
        let (_, see_also) = text.split_once("\n.Sh SEE ALSO\n").expect("the page has the section");
        let reference = format!(".Xr {} 8 ", other.get_name());
        assert!(
            see_also.contains(&reference),
            "{} does not refer to {reference}",
            page.display()
        );
    }
}

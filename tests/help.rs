//! What `--help` says, word for word: tests/snapshots/help. After a wanted change:
//! `GRADCAST_UPDATE_SNAPSHOTS=1 cargo test --test help`, and read the difference before it is committed.

use std::env;
use std::fs;
use std::path::Path;

#[test]
fn help_texts_are_as_they_were_last_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/help");
    let update = env::var_os("GRADCAST_UPDATE_SNAPSHOTS").is_some();
    let mut command = gradcast::cli::command().term_width(100);
    command.build();
    let mut pages = vec![("gradcast".to_owned(), command.clone().render_long_help().to_string())];
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
        pages.push((subcommand.get_name().to_owned(), subcommand.clone().term_width(100).render_long_help().to_string()));
    }
    for (name, page) in &pages {
        let page: String = page.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        let path = folder.join(format!("{name}.txt"));
        if update {
            fs::write(&path, &page).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        if let Some((number, (new, old))) = page.lines().zip(kept.lines()).enumerate().find(|(_, (new, old))| new != old) {
            panic!("{}, line {}:\nnow:    {new}\nbefore: {old}", path.display(), number + 1);
        }
        assert_eq!(page.lines().count(), kept.lines().count(), "{} has another length", path.display());
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), pages.len(), "a page of a subcommand that is gone");
}

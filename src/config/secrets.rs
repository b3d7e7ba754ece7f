//! Secrets: read from files, kept out of URLs, texts and messages.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use url::Url;

use crate::secret::Secret;

/// The one variable that is put into names of files.
const CREDENTIALS: &str = "${CREDENTIALS_DIRECTORY}";
/// More than any password; bounds what is read of a file that is something else.
const MOST_BYTES: u64 = 4096;
/// Where process lists and logs would show a secret.
pub const WHY: &str = "process lists and logs would show it";

/// Where files are looked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vault {
    /// systemd's folder with this unit's credentials.
    pub credentials: Option<PathBuf>,
    /// Of the configuration; relative names of what is read are of this folder.
    pub folder: PathBuf,
    /// Where the process runs; relative names of what is written are of this folder.
    pub work: PathBuf,
}

/// Reads a secret. The second part is a warning.
///
/// # Errors
/// What is wrong with the file, and what to do; nothing of what is in it.
pub fn read(written: &str, vault: &Vault) -> Result<(Secret, Option<String>), String> {
    let path = expand(written, vault)?;
    let shown = path.display();
    let metadata = fs::metadata(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("{shown} is not there; write the secret into this file, readable by gradcast's user alone"),
        _ => format!("{shown} cannot be looked at ({error}); let gradcast's user read it"),
    })?;
    if !metadata.is_file() {
        return Err(format!("{shown} is no file; give one with the secret in its only line"));
    }
    let mut text = String::new();
    let read = File::open(&path).and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text));
    match read {
        Ok(count) if count as u64 > MOST_BYTES => return Err(format!("{shown} is longer than {MOST_BYTES} bytes; is it the right file?")),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            return Err(format!("{shown} is not UTF-8 text; is it the right file?"));
        }
        Err(error) => return Err(format!("{shown} cannot be read ({error}); let gradcast's user read it")),
    }
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() || line.chars().any(char::is_control) {
        return Err(format!("{shown} is empty or has several lines; write the secret alone into it"));
    }
    let open = metadata.permissions().mode() & 0o007 != 0;
    let warning = open.then(|| format!("{shown} can be read by every user of this machine; chmod o= {shown}"));
    Ok((Secret::of_file(line, written), warning))
}

fn expand(written: &str, vault: &Vault) -> Result<PathBuf, String> {
    let path = match (written.contains(CREDENTIALS), &vault.credentials) {
        (true, None) => {
            return Err(format!(
                "{CREDENTIALS} is not set; systemd sets it for a unit with LoadCredential=, elsewhere give the file's path itself"
            ));
        }
        (true, Some(folder)) => written.replace(CREDENTIALS, &folder.display().to_string()),
        (false, _) => written.to_owned(),
    };
    if path.contains("${") {
        return Err(format!("only {CREDENTIALS} is replaced in it; give the rest of the path itself"));
    }
    Ok(vault.folder.join(Path::new(&path)))
}

/// Whether a URL can be shown to everybody, and is one.
///
/// # Errors
/// What is wrong, without the URL itself. `passwords` names the key that has the secret instead.
pub fn check_url(text: &str, schemes: &[&str], passwords: &str) -> Result<(), String> {
    let secret = || format!("has credentials in it: {WHY}; give user and {passwords} instead");
    // What cannot be read as a URL may have a password all the same.
    let authority = text.split_once("://").map_or(text, |(_, rest)| rest).split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') || text.split('?').next().is_some_and(has_userinfo) {
        return Err(secret());
    }
    let url =
        Url::parse(text).map_err(|error| format!("is no URL ({error}); give one as {}://HOST/…", schemes.first().unwrap_or(&"http")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(secret());
    }
    const SECRET_KEYS: [&str; 5] = ["passphrase", "password", "passwd", "pwd", "user-pw"];
    if url.query_pairs().any(|(key, _)| SECRET_KEYS.contains(&key.to_lowercase().as_str())) {
        return Err(format!("has a password behind its `?`: {WHY}; give {passwords} instead"));
    }
    if !schemes.is_empty() && !schemes.contains(&url.scheme()) {
        return Err(format!(
            "begins with {}://; {} can be here",
            url.scheme(),
            schemes.iter().map(|s| format!("{s}://")).collect::<Vec<_>>().join(", ")
        ));
    }
    Ok(())
}

/// `user:password@`, as in a URL whose password has a slash or whose scheme is missing; `host:554/…@` is none.
pub fn has_userinfo(text: &str) -> bool {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let rest = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(rest, |(_, rest)| rest);
    let Some((_, behind)) = rest.split_once('@').and_then(|(before, _)| before.split_once(':')) else { return false };
    let port = behind.split_once('/').map(|(port, _)| port);
    port.is_none_or(|port| port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a GStreamer text can be shown to everybody.
///
/// # Errors
/// What is wrong, without the text itself.
pub fn check_text(text: &str) -> Result<(), String> {
    const PROPERTIES: [&str; 5] = ["user-pw", "passphrase", "password", "proxy-pw", "token"];
    let given = |name: &str| text.match_indices(name).any(|(at, _)| text[at + name.len()..].trim_start().starts_with('='));
    let in_url = text.match_indices("://").any(|(at, _)| {
        let authority = text[at + 3..].split(|c: char| c.is_whitespace() || "/\"'".contains(c)).next().unwrap_or_default();
        authority.contains('@')
    });
    match in_url || PROPERTIES.iter().any(|name| given(name)) {
        true => Err(format!("has credentials in it: {WHY}; a source or sink of another kind takes them from a file")),
        false => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_urls_are_refused_and_not_shown() {
        for url in [
            "rtsp://admin:hunter2@camera/stream",
            "rtsp://hunter2@camera/",
            "rtsp://admin:hunt/er2@camera/stream",
            "srt://host:9000?mode=caller&passphrase=hunter2",
            "admin:hunter2@camera/stream",
            "http://[hunter2@x/",
        ] {
            let fault = check_url(url, &["rtsp", "srt", "http"], "password_file").unwrap_err();
            assert!(fault.contains("password_file") && fault.contains(WHY) && !fault.contains("hunter2"), "{url}: {fault}");
        }
        for url in ["rtsp://camera:554/Streaming/@101?a=b@c", "http://[::1]:80/@home/live.m3u8", "srt://0.0.0.0:9000?mode=listener"] {
            assert_eq!(check_url(url, &[], "password_file"), Ok(()), "{url}");
        }
        assert!(check_url("ftp://x/y", &["rtsp"], "").unwrap_err().starts_with("begins with ftp://; rtsp://"));
        assert!(check_url("rtsp//x", &["rtsp"], "").unwrap_err().starts_with("is no URL"));
    }

    #[test]
    fn credentials_in_texts_are_refused_and_not_shown() {
        for text in [
            "rtspsrc location=rtsp://x user-pw = hunter2",
            "souphttpsrc location=\"http://a:hunter2@x/\"",
            "srtsrc uri=srt://x passphrase=hunter2",
        ] {
            let fault = check_text(text).unwrap_err();
            assert!(!fault.contains("hunter2"), "{fault}");
        }
        assert_eq!(check_text("videotestsrc pattern=ball ! video/x-raw,width=320"), Ok(()));
    }

    #[test]
    fn secrets_are_read_from_files_alone() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault { credentials: Some(folder.path().to_owned()), folder: folder.path().to_owned(), ..Vault::default() };
        let write = |name: &str, text: &str, mode: u32| {
            fs::write(folder.path().join(name), text).unwrap();
            fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        write("good", "hunter2\n", 0o600);
        write("open", "hunter2", 0o644);
        write("two", "hunter2\nhunter3\n", 0o600);
        write("empty", "\n", 0o600);
        write("long", &"x".repeat(5000), 0o600);
        let (secret, warning) = read("${CREDENTIALS_DIRECTORY}/good", &vault).unwrap();
        assert_eq!((secret.reveal(), secret.file(), warning), ("hunter2", Some("${CREDENTIALS_DIRECTORY}/good"), None));
        let (_, warning) = read("open", &vault).unwrap();
        assert!(warning.unwrap().contains("every user"));
        for (name, wanted) in [
            ("two", "several lines"),
            ("empty", "is empty"),
            ("long", "longer than"),
            ("none", "is not there"),
            (".", "is no file"),
            ("${HOME}/x", "only ${CREDENTIALS_DIRECTORY} is replaced"),
        ] {
            let fault = read(name, &vault).unwrap_err();
            assert!(fault.contains(wanted) && !fault.contains("hunter"), "{name}: {fault}");
        }
        let bare = Vault { credentials: None, ..vault };
        assert!(read("${CREDENTIALS_DIRECTORY}/good", &bare).unwrap_err().contains("LoadCredential="));
    }
}

//! The units: what has to stand in them, and what systemd itself says of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd")
}

fn read(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("systemd/{name}: {error}"))
}

/// Its directives, without comments.
fn directives(unit: &str) -> Vec<String> {
    read(unit).lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', '['])).map(str::to_owned).collect()
}

/// `systemd-analyze`; `None` on a machine without systemd (scripts/setup.sh installs it where there is apt).
fn systemd_analyze(arguments: &[&str]) -> Option<Output> {
    match Command::new("systemd-analyze").args(arguments).env("SYSTEMD_COLORS", "0").output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !Path::new("/usr/bin/apt-get").exists() => None,
        Err(error) => panic!("systemd-analyze: {error}; run make setup"),
    }
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn what_an_operator_relies_on_is_there() {
    let found = directives("gradcast.service");
    for wanted in [
        "Type=notify",
        "ExecStartPre=/usr/bin/gradcast check --config /etc/gradcast/gradcast.toml",
        "ExecStart=/usr/bin/gradcast run --config /etc/gradcast/gradcast.toml",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "Restart=on-failure",
        "RestartPreventExitStatus=78 2",
        "DynamicUser=yes",
        "StateDirectory=gradcast",
        "CacheDirectory=gradcast",
        "SupplementaryGroups=video render",
        "DevicePolicy=closed",
        "DeviceAllow=char-video4linux rw",
        "DeviceAllow=char-nvidia-frontend rw",
        "DeviceAllow=char-nvidia rw",
        "DeviceAllow=char-nvidia-uvm rw",
        "DeviceAllow=char-drm rw",
        "MemoryDenyWriteExecute=no",
        "CapabilityBoundingSet=",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "SystemCallErrorNumber=EPERM",
        "WantedBy=multi-user.target",
    ] {
        assert!(found.iter().any(|line| line == wanted), "{wanted} is not in gradcast.service");
    }
    for begins in ["WatchdogSec=", "TimeoutStopSec=", "Environment=GST_REGISTRY=%C/gradcast/"] {
        assert!(found.iter().any(|line| line.starts_with(begins)), "{begins} is not in gradcast.service");
    }
    assert!(read("gradcast.service").contains("\n#LoadCredential="), "the example of a credential is gone");
}

#[test]
fn an_instance_is_the_unit_but_for_its_names() {
    let expected: Vec<String> = directives("gradcast.service")
        .into_iter()
        .map(|line| match line.split_once('=') {
            Some(("Description", text)) => format!("Description={text} (%i)"),
            Some(("StateDirectory" | "CacheDirectory", _)) => format!("{line}-%i"),
            _ => line
                .replace("/etc/gradcast/gradcast.toml", "/etc/gradcast/%i.toml")
                .replace("%S/gradcast", "%S/gradcast-%i")
                .replace("%C/gradcast", "%C/gradcast-%i"),
        })
        .collect();
    assert_eq!(directives("gradcast@.service"), expected);
}

#[test]
fn systemd_counts_an_exposure_of_two_or_less() {
    for unit in ["gradcast.service", "gradcast@.service"] {
        let path = folder().join(unit);
        let path = path.to_str().expect("a path in UTF-8");
        let Some(output) = systemd_analyze(&["security", "--offline=true", "--threshold=20", "--no-pager", path]) else { return };
        assert!(output.status.success(), "{unit}:\n{}", told(&output));
        assert!(told(&output).contains("Overall exposure level for gradcast"), "{unit}:\n{}", told(&output));
    }
}

#[test]
fn systemd_understands_every_line() {
    let units = tempfile::tempdir().expect("a temporary folder");
    for unit in ["gradcast.service", "gradcast@.service"] {
        // The program is not installed where tests run; that it is there is part of what is verified.
        let text = read(unit).replace("/usr/bin/gradcast", env!("CARGO_BIN_EXE_gradcast"));
        let path = units.path().join(unit);
        fs::write(&path, text).expect("a unit in a temporary folder");
        let Some(output) = systemd_analyze(&["verify", "--man=no", path.to_str().expect("a path in UTF-8")]) else { return };
        assert!(output.status.success() && told(&output).is_empty(), "{unit}:\n{}", told(&output));
    }
    let wrong = units.path().join("wrong.service");
    fs::write(&wrong, "[Service]\nExecStart=/bin/true\nProtectEverything=yes\n").expect("a unit in a temporary folder");
    let output = systemd_analyze(&["verify", "--man=no", wrong.to_str().expect("a path in UTF-8")]).expect("it was there before");
    assert!(told(&output).contains("ProtectEverything"), "a line that is none is not noticed:\n{}", told(&output));
}

//! What confined cards see and reach: with Landlock and namespaces, with one of
//! them, and with neither, as this kernel grants them; as the user of the tests
//! and, where that is root, as another one.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use mikado::process::Kernel;

use crate::support::sandbox::{Sandbox, program};
use crate::support::scratch;

/// What confines the cards of one test.
#[derive(Clone, Copy, Debug)]
struct Mode {
    /// The value of `MIKADO_ISOLATION`, or nothing.
    word: &'static str,
    landlock: i32,
    mounts: bool,
    network: bool,
}

fn kernel() -> Kernel {
    static KERNEL: OnceLock<Kernel> = OnceLock::new();
    *KERNEL.get_or_init(|| Kernel::probe_with(&program()).expect("the program"))
}

/// All that this kernel grants, and less.
fn modes() -> Vec<Mode> {
    let kernel = kernel();
    let mode = |word, kernel: Kernel| Mode {
        word,
        landlock: kernel.landlock,
        mounts: kernel.mount_namespaces,
        network: kernel.network_namespaces,
    };
    let limited = |word| mode(word, kernel.limited(word).expect("a mode"));
    vec![
        mode("", kernel),
        limited("landlock"),
        limited("namespaces"),
        limited("none"),
    ]
}

/// The modes that confine at all.
fn confining() -> Vec<Mode> {
    let mut modes = modes();
    modes.retain(|mode| mode.landlock > 0 || mode.mounts);
    modes
}

impl Mode {
    fn sandbox(self) -> Sandbox {
        self.of(Sandbox::new())
    }

    fn of(self, sandbox: Sandbox) -> Sandbox {
        match self.word {
            "" => sandbox,
            word => sandbox.env("MIKADO_ISOLATION", word),
        }
    }
}

/// A card `a` whose runner is this.
fn with_runner(sandbox: Sandbox, runner: &str) -> Sandbox {
    sandbox
        .runner("a", runner)
        .card("a", "status: active\nrunner: a")
}

fn artifact(sandbox: &Sandbox, stem: &str) -> PathBuf {
    let link = sandbox.path(".mikado/artifacts").join(stem);
    link.canonicalize()
        .unwrap_or_else(|e| panic!("{}: {e}", link.display()))
}

fn digest(sandbox: &Sandbox, stem: &str) -> String {
    let tree = artifact(sandbox, stem);
    tree.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Why the artifact of `a` stays on this machine, if it does.
fn local(sandbox: &Sandbox) -> Option<String> {
    let why = sandbox.mikado("why a --format json").exits(0).json();
    let why = &why["artifact"];
    why["madeBy"]["local"].as_str().map(str::to_owned)
}

/// Connects to a socket on disk.
const CONNECT: &str = r#"perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new($ARGV[0]) or die "connect to $ARGV[0]: $!\n"' "$WITH_SOCKET""#;

#[test]
fn a_result_is_the_same_whatever_confines() {
    let mut digests = BTreeSet::new();
    for mode in modes() {
        let sandbox = mode
            .sandbox()
            .file("docs/x", "x")
            .runner(
                "first",
                "inputs: [{paths: [docs/*]}]\ncaches: [c]\nsteps:\n  - 'cp docs/x $OUT/x; mktemp > /dev/null; echo y > $CACHE/c/y; cp $CACHE/c/y $OUT/; ln -s x $OUT/l'",
            )
            .runner(
                "second",
                "inputs: [{requires: first, at: in}]\nsteps:\n  - 'cat in/x in/y $REQUIRES/first/l > $OUT/all; id -u > /dev/null; (ls -A .; ls -A $TMPDIR; ls -A $HOME; stat -Lc %a%s in/x; stat -c %a%Y in/x) > $OUT/list'\nverify: ['grep -q x $ARTIFACT/all']",
            )
            .card("first", "runner: first")
            .card("second", "runner: second\nrequires: [first]");
        sandbox.mikado("run second").exits(0).says("Built second");
        digests.insert((digest(&sandbox, "first"), digest(&sandbox, "second")));
        sandbox.mikado("run second").exits(0).says("Fresh second");
    }
    assert_eq!(digests.len(), 1, "{digests:?}");
}

#[test]
fn a_repository_is_out_of_sight_wherever_it_lies() {
    let climb = "here=$PWD; while [ $here != / ]; do here=$(dirname $here); for name in .git mikado.yaml cards; do if [ -e $here/$name ]; then echo $here/$name; fi; done; done > $OUT/found";
    for mode in modes() {
        for place in [std::env::temp_dir(), shared_place()] {
            let sandbox = Sandbox::new_in(&place).file("mikado.yaml", "");
            let runner = format!("inputs: []\nsteps:\n  - '{climb}'");
            let sandbox = with_runner(mode.of(sandbox), &runner).committed();
            sandbox.mikado("run a").exits(0);
            let found = fs::read_to_string(artifact(&sandbox, "a").join("found")).expect("a list");
            assert_eq!(
                found.is_empty(),
                mode.mounts,
                "{mode:?} in {}: {found}",
                place.display()
            );
        }
    }
}

/// A folder that is not hidden by itself, where there is one that this user can write.
fn shared_place() -> PathBuf {
    match std::env::var_os("MIKADO_TEST_PROGRAM") {
        None => scratch::folder("isolation"),
        Some(_) => std::env::temp_dir(),
    }
}

#[test]
fn temporary_files_are_the_actions_own() {
    let theirs = tempfile::Builder::new()
        .prefix("mikado-theirs-")
        .tempfile()
        .expect("a file");
    let name = format!("mikado-ours-{}", std::process::id());
    for mode in modes() {
        let script = format!(
            "for folder in /tmp /var/tmp; do echo ours > $folder/{name}; cat $folder/{name}; done > $OUT/x; test ! -e {}",
            theirs.path().display()
        );
        let sandbox = with_runner(
            mode.sandbox(),
            &format!("inputs: []\nsteps:\n  - '{script}'"),
        );
        let ran = sandbox.mikado("run a");
        let ours = ["/tmp", "/var/tmp"].map(|folder| PathBuf::from(folder).join(&name));
        match (mode.mounts, mode.landlock > 0) {
            (true, _) => {
                ran.exits(0);
                assert!(ours.iter().all(|path| !path.exists()));
            }
            (false, true) => {
                ran.exits(1)
                    .says("Permission denied")
                    .says("lies outside of the action: write to `$TMPDIR`");
                assert!(ours.iter().all(|path| !path.exists()));
            }
            (false, false) => {
                ran.exits(1);
                ours.iter()
                    .for_each(|path| fs::remove_file(path).expect("a file"));
            }
        }
    }
}

#[test]
fn a_tool_a_cache_and_a_file_of_settings_below_tmp_are_seen() {
    for mode in modes() {
        let folder = tempfile::tempdir().expect("a folder");
        let tool = folder.path().join("tool/bin/greet");
        fs::create_dir_all(tool.parent().expect("a parent")).expect("a folder");
        fs::write(folder.path().join("tool/word"), "hello").expect("a file");
        fs::write(
            &tool,
            "#!/bin/sh\ncase $1 in --version) echo 1.0 ;; *) cat $(dirname $(readlink -f $0))/../word ;; esac\n",
        )
        .expect("a file");
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).expect("a mode");
        // By a link in the hidden folder, as some managers of versions have it.
        let bin = folder.path().join("bin");
        std::os::unix::fs::symlink("tool/bin", &bin).expect("a link");
        fs::write(folder.path().join("pip.conf"), "[global]\n").expect("a file");
        let path = format!("{}:/usr/bin:/bin", bin.display());
        let settings = folder.path().join("pip.conf").display().to_string();
        let store = folder.path().join("store");
        let sandbox = mode
            .sandbox()
            .env("PATH", path)
            .env("PIP_CONFIG_FILE", settings)
            .store(&store);
        let sandbox = with_runner(
            sandbox,
            "tools: {greet: {}}\ncaches: [c]\ninputs: [{fetch: f}]\nfetch: {f: {run: 'cp $PIP_CONFIG_FILE $OUT/conf', locked: true}}\nsteps:\n  - 'greet > $OUT/x; echo >> $CACHE/c/x; cp conf $OUT/'",
        );
        sandbox.mikado("run a").exits(0);
        assert_eq!(
            fs::read(artifact(&sandbox, "a").join("x")).expect("a file"),
            b"hello"
        );
    }
}

#[test]
fn what_is_only_to_be_read_below_tmp_is_not_written() {
    for mode in confining() {
        let sandbox = mode
            .sandbox()
            .runner("first", "inputs: []\nsteps: ['echo x > $OUT/x']")
            .card("first", "runner: first")
            .runner(
                "a",
                "inputs: []\nsteps: ['chmod u+w $REQUIRES/a/ || true; echo y > $REQUIRES/a/y']",
            )
            .card("a", "runner: a\nrequires: [first]\nuses: {a: first}");
        if mode.landlock == 0 && rustix::process::geteuid().is_root() && !mode.mounts {
            continue;
        }
        sandbox.mikado("run a").exits(1);
        assert!(!artifact(&sandbox, "first").join("y").exists());
    }
}

/// A folder of this user's that is neither hidden nor an action's, where there is one.
fn seen_folder() -> Option<tempfile::TempDir> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let places = [Some(shared_place()), home, Some("/var/lib".into())];
    let seen = |place: &PathBuf| {
        let real = place.canonicalize().unwrap_or_default();
        !["/tmp", "/var/tmp", "/run"]
            .iter()
            .any(|hidden| real.starts_with(hidden))
    };
    let mut places = places.into_iter().flatten().filter(seen);
    places.find_map(|place| tempfile::tempdir_in(place).ok())
}

#[test]
fn modes_and_times_of_files_outside_are_not_changed() {
    let Some(folder) = seen_folder() else {
        return;
    };
    let outside = folder.path().join("file");
    for mode in modes() {
        fs::write(&outside, "x").expect("a file");
        fs::set_permissions(&outside, fs::Permissions::from_mode(0o600)).expect("a mode");
        let name = outside.display();
        let store = folder.path().join(format!("store-{}", mode.word));
        let runner = format!(
            "caches: [c]\ninputs: []\nsteps:\n  - 'chmod 644 {name} || true; touch -d 2001-01-01 {name} || true; touch $OUT/x $TMPDIR/x $HOME/x; chmod 600 $OUT/x; echo x > $CACHE/c/x; chmod 600 $CACHE/c/x; echo x > /dev/null'",
        );
        let sandbox = with_runner(mode.sandbox().store(&store), &runner);
        sandbox.mikado("run a").exits(0);
        let found = fs::metadata(&outside).expect("a file");
        let age = found
            .modified()
            .expect("a time")
            .elapsed()
            .unwrap_or_default();
        let is_kept = found.permissions().mode() & 0o777 == 0o600 && age.as_secs() < 86_400;
        assert_eq!(is_kept, mode.mounts, "{mode:?}");
    }
}

#[test]
fn a_step_reaches_no_port_by_any_protocol() {
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
    udp.set_nonblocking(true).expect("a socket");
    let tcp = tcp.local_addr().expect("an address").port();
    let port = udp.local_addr().expect("an address").port();
    for mode in modes() {
        let runner = format!("inputs: []\nsteps: ['exec 3<>/dev/tcp/127.0.0.1/{tcp}']");
        let ran = with_runner(mode.sandbox(), &runner).mikado("run a");
        if mode.network || mode.landlock >= 4 {
            ran.exits(1)
                .says("no network")
                .says("move what needs it into a `fetch` of the runner, or write `network: true`");
        } else {
            ran.exits(0);
        }
        let runner = format!("inputs: []\nsteps: ['echo x > /dev/udp/127.0.0.1/{port}']");
        let ran = with_runner(mode.sandbox(), &runner).mikado("run a");
        let came = udp.recv(&mut [0; 8]).is_ok();
        if mode.network || mode.landlock >= 10 {
            ran.exits(1).says("no network");
            assert!(!came, "{mode:?}");
        } else {
            ran.exits(0);
            assert!(came, "{mode:?}");
        }
    }
}

#[test]
fn a_step_reads_no_environment_of_processes_around_it() {
    let told = format!("told-{}", std::process::id());
    let read = "for one in /proc/[0-9]*; do tr '\\0' '\\n' 2> /dev/null < $one/environ; done > $OUT/all || true";
    for mode in modes() {
        let sandbox = mode.sandbox().env("SOME_TOKEN", &told);
        let runner = format!("inputs: []\nsteps:\n  - |\n    {read}\n");
        let sandbox = with_runner(sandbox, &runner);
        sandbox.mikado("run a").exits(0);
        let all = fs::read(artifact(&sandbox, "a").join("all")).expect("a file");
        let is_read = String::from_utf8_lossy(&all).contains(&told);
        let confines = mode.landlock > 0 || mode.mounts;
        assert_eq!(is_read, !confines, "{mode:?}");
    }
}

#[test]
fn a_step_of_root_gives_files_away_and_changes_nothing_of_the_system() {
    let is_root = rustix::process::geteuid().is_root();
    let owner = if is_root {
        4711
    } else {
        rustix::process::geteuid().as_raw()
    };
    let group = if is_root {
        4711
    } else {
        rustix::process::getegid().as_raw()
    };
    for mode in confining() {
        let script = format!(
            "install -o {owner} -g {group} -m 600 /etc/hostname x; echo y > x; stat -c %u x > $OUT/x; \
             grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status > $OUT/caps; \
             if mount -t tmpfs none $TMPDIR || chroot / true || mknod n c 1 3; then false; fi"
        );
        let runner = format!("inputs: []\nsteps:\n  - |\n    {script}\n");
        let sandbox = with_runner(mode.sandbox(), &runner);
        sandbox.mikado("run a").exits(0);
        let tree = artifact(&sandbox, "a");
        let text = fs::read_to_string(tree.join("x")).expect("a file");
        assert_eq!(text, format!("{owner}\n"), "{mode:?}");
        // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID and NET_BIND_SERVICE, or some of them.
        let kept = 0b100_1111_1011;
        for line in fs::read_to_string(tree.join("caps"))
            .expect("a file")
            .lines()
        {
            let (name, set) = line.split_once(":\t").expect("a set");
            let set = u64::from_str_radix(set, 16).expect("a number");
            // Another user's bounding set may stay: nothing is gained from it.
            if is_root || name != "CapBnd" {
                assert_eq!(set & !kept, 0, "{mode:?}: {line}");
            }
        }
    }
}

#[test]
fn network_true_opens_the_network_and_nothing_else() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    for mode in modes() {
        let sandbox = mode.sandbox().file("secret", "x");
        let runner = format!(
            "network: true\ninputs: []\nsteps: ['exec 3<>/dev/tcp/127.0.0.1/{port}; touch $OUT/x']"
        );
        let sandbox = with_runner(sandbox, &runner);
        sandbox.mikado("run a").exits(0);
        assert_eq!(local(&sandbox).as_deref(), Some("`network: true`"));
        let secret = sandbox.path("secret").display().to_string();
        let runner = format!("network: true\ninputs: []\nsteps: ['cat {secret} > $OUT/x']");
        sandbox.write("runners/a.yaml", &runner);
        let ran = sandbox.mikado("run a");
        match mode.landlock > 0 || mode.mounts {
            true => ran
                .exits(1)
                .says("add `- { paths: [secret] }` to `inputs` of the runner"),
            false => ran.exits(0),
        };
    }
}

#[test]
fn a_socket_is_reached_where_the_runner_names_it() {
    for mode in modes() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("agent");
        let listener = UnixListener::bind(&socket).expect("a socket");
        listener.set_nonblocking(true).expect("a socket");
        let runner = |keys: &str, variable: &str| {
            let connect = CONNECT.replace("$WITH_SOCKET", variable);
            format!(
                "with: {{socket: '{}'}}\n{keys}\ninputs: []\nsteps:\n  - |\n    {connect}\n    touch $OUT/x\n",
                socket.display()
            )
        };
        for (word, variable, value) in [
            ("ssh-agent", "SSH_AUTH_SOCK", socket.display().to_string()),
            (
                "docker",
                "DOCKER_HOST",
                format!("unix://{}", socket.display()),
            ),
        ] {
            let sandbox = mode.sandbox().env(variable, value);
            let sandbox = with_runner(sandbox, &runner("", "$WITH_SOCKET"));
            let ran = sandbox.mikado("run a");
            if mode.mounts || mode.landlock >= 9 {
                ran.exits(1)
                    .says(&format!("write `sockets: [{word}]` into the runner"));
                assert!(listener.accept().is_err());
            } else {
                ran.exits(0);
                listener.accept().expect("a connection");
            }
            let variable = match word {
                "docker" => "${DOCKER_HOST#unix://}",
                _ => "$SSH_AUTH_SOCK",
            };
            sandbox.write(
                "runners/a.yaml",
                &runner(&format!("sockets: [{word}]"), variable),
            );
            sandbox.mikado("run a").exits(0);
            listener.accept().expect("a connection");
            assert_eq!(local(&sandbox), Some(format!("`sockets: [{word}]`")));
        }
    }
}

#[test]
fn the_home_folder_is_the_users_where_the_runner_says_so() {
    for mode in modes() {
        let script = "echo $HOME > $OUT/home; cat $HOME/word >> $OUT/home; touch $HOME/here";
        let sandbox = with_runner(
            mode.sandbox(),
            &format!("home: user\ninputs: []\nsteps:\n  - '{script}'"),
        );
        fs::write(sandbox.home().join("word"), "hello").expect("a file");
        sandbox.mikado("run a").exits(0);
        let said = fs::read_to_string(artifact(&sandbox, "a").join("home")).expect("a file");
        assert_eq!(said, format!("{}\nhello", sandbox.home().display()));
        assert!(sandbox.home().join("here").exists());
        assert_eq!(local(&sandbox).as_deref(), Some("`home: user`"));
        // Without it, the folder is another one, and this one is not read.
        let word = sandbox.home().join("word").display().to_string();
        sandbox.write(
            "runners/a.yaml",
            &format!("inputs: []\nsteps: ['test ! -e $HOME/word; cat {word} > $OUT/x']"),
        );
        let ran = sandbox.mikado("run a");
        match (mode.landlock > 0, mode.mounts) {
            (false, false) => ran.exits(0),
            _ => ran.exits(1).says("is in your home folder, which steps do not see: make it an input, or write `home: user` into the runner"),
        };
    }
}

#[test]
fn isolation_none_confines_nothing_and_pass_env_passes_and_masks() {
    let sandbox = Sandbox::new()
        .file("secret", "x")
        .env("TOKEN", "s3cr3t-value");
    let secret = sandbox.path("secret").display().to_string();
    let sandbox = with_runner(
        sandbox,
        &format!(
            "isolation: none\ninputs: []\nsteps: ['cat {secret} > $OUT/x; test -z ${{TOKEN:-}}']"
        ),
    );
    sandbox.mikado("run a").exits(0);
    assert_eq!(local(&sandbox).as_deref(), Some("`isolation: none`"));
    sandbox.write(
        "runners/a.yaml",
        "pass-env: [TOKEN]\ninputs: []\nsteps: ['echo -n $TOKEN | wc -c > $OUT/x; echo token=$TOKEN']",
    );
    sandbox.mikado("run a").exits(0);
    assert_eq!(local(&sandbox).as_deref(), Some("`pass-env: [TOKEN]`"));
    assert_eq!(
        fs::read_to_string(artifact(&sandbox, "a").join("x"))
            .expect("a file")
            .trim(),
        "12"
    );
    sandbox
        .mikado("log a")
        .exits(0)
        .says("token=***")
        .says_nothing_of("s3cr3t");
}

#[test]
fn check_notes_what_each_runner_opens_up() {
    let sandbox = Sandbox::new()
        .runner(
            "a",
            "inputs: []\nnetwork: true\nsockets: [nix, ssh-agent]\nhome: user\npass-env: [TOKEN]\nsteps: [true]",
        )
        .runner("b", "summary: b\nisolation: none\ninputs: []\nsteps: [true]")
        .runner("c", "network: true\nsteps: [true]")
        .card("one", "status: active\nrunner: a")
        .card("two", "status: active\nrunner: a")
        .card("three", "status: active\nrunner: b")
        .card("four", "status: active\nrunner: c");
    sandbox
        .mikado("check --color never")
        .exits(0)
        .says("note: `network: true` opens the steps up; the result stays local\n --> runners/a.yaml:2:10")
        .says("note: `sockets: [nix, ssh-agent]` opens the steps up; the result stays local\n --> runners/a.yaml:3:11")
        .says("note: `home: user` opens the steps up; the result stays local\n --> runners/a.yaml:4:7")
        .says("note: `pass-env: [TOKEN]` opens the steps up; the result stays local\n --> runners/a.yaml:5:12")
        .says("note: `isolation: none` opens the steps up; the result stays local\n --> runners/b.yaml:2:12")
        .says_nothing_of("runners/c.yaml");
    let told = sandbox
        .mikado("check")
        .all()
        .matches("opens the steps up")
        .count();
    assert_eq!(told, 5);
}

#[test]
fn a_word_that_is_no_socket_and_a_name_that_is_no_platform_are_findings() {
    let sandbox = Sandbox::new()
        .runner("a", "inputs: []\nsteps: [true]\nsockets: [dokcer]")
        .runner("b", "inputs: []\nsteps: [true]\nplatform: [amd64-linux]")
        .runner("c", "inputs: []\nsteps: [true]\nplatform: [linux-x86_64, aarch64-linux, x86_64-macos, macos-aarch64]")
        .card("a", "status: active\nrunner: a")
        .card("b", "status: active\nrunner: b")
        .card("c", "status: active\nrunner: c");
    sandbox
        .mikado("check")
        .exits(3)
        .says("runners/a.yaml:3:")
        .says("expected one of `nix`, `docker`, `ssh-agent`")
        .says("`amd64-linux` is no platform")
        .says_nothing_of("runners/c.yaml");
    sandbox.mikado("run c").exits(0).says("Built c");
}

#[test]
fn what_was_made_opened_up_is_not_taken_for_what_is_closed() {
    let sandbox = with_runner(
        Sandbox::new(),
        "isolation: none\ninputs: []\nsteps: ['echo x > $OUT/x']",
    );
    sandbox.mikado("run a").exits(0).says("Built a");
    sandbox.mikado("run a").exits(0).says("Fresh a");
    sandbox.edit("runners/a.yaml", "isolation: none\n", "");
    sandbox
        .mikado("plan a")
        .exits(0)
        .says("made with `isolation: none`");
    sandbox
        .mikado("run a")
        .exits(0)
        .says("its last result was made with `isolation: none`")
        .says("Built a");
    assert_eq!(local(&sandbox), None);
    // The other way round it is good enough.
    sandbox.edit("runners/a.yaml", "inputs:", "network: true\ninputs:");
    sandbox.mikado("run a").exits(0).says("Fresh a");
}

/// Writes where it is, and where what it links to is.
const WHERE: &str = "pwd > $OUT/x; pwd -P >> $OUT/x; (cd -P $REQUIRES/first && pwd) >> $OUT/x; readlink -f in/x >> $OUT/x; echo $CACHE $OUT >> $OUT/x; echo $HOME >> $OUT/x; touch $CACHE/c/x $TMPDIR/x";

fn baking(sandbox: Sandbox, root: &str) -> Sandbox {
    let runner = format!(
        "root: {root}\ncaches: [c]\ninputs: [{{requires: first, at: in}}]\nsteps:\n  - '{WHERE}'\nverify: ['test -s $ARTIFACT/x']"
    );
    sandbox
        .runner("first", "inputs: []\nsteps: ['echo x > $OUT/x']")
        .card("first", "runner: first")
        .runner("a", &runner)
        .card("a", "runner: a\nrequires: [first]")
}

#[test]
fn a_fixed_root_is_one_place_in_every_folder() {
    let mut digests = BTreeSet::new();
    for place in [std::env::temp_dir(), shared_place(), std::env::temp_dir()] {
        let sandbox = baking(Sandbox::new_in(&place), "fixed");
        sandbox.mikado("run a").exits(0);
        digests.insert(digest(&sandbox, "a"));
        if kernel().mount_namespaces {
            let said = fs::read_to_string(artifact(&sandbox, "a").join("x")).expect("a file");
            let first = digest(&sandbox, "first");
            let root = "/tmp/mikado/root";
            assert_eq!(
                said,
                format!(
                    "{root}/work\n{root}/work\n/tmp/mikado/trees/{first}\n/tmp/mikado/trees/{first}/x\n/tmp/mikado/caches {root}/out\n{root}/home\n"
                )
            );
            assert_eq!(local(&sandbox), None);
        }
    }
    assert_eq!(digests.len() == 1, kernel().mount_namespaces, "{digests:?}");
    let digests: BTreeSet<String> = [Sandbox::new(), Sandbox::new()]
        .into_iter()
        .map(|sandbox| {
            let sandbox = baking(sandbox, "any");
            sandbox.mikado("run a").exits(0);
            digest(&sandbox, "a")
        })
        .collect();
    assert_eq!(digests.len(), 2);
}

#[test]
fn where_no_fixed_root_can_be_had_the_result_stays_local_and_is_made_again() {
    let sandbox = baking(Sandbox::new(), "fixed").env("MIKADO_ISOLATION", "landlock");
    sandbox
        .mikado("run a")
        .exits(0)
        .says("no mount namespaces here: `root: fixed` of `a` is not had, and the results stay on this machine");
    assert_eq!(
        local(&sandbox).as_deref(),
        Some("no mount namespace for `root: fixed`")
    );
    sandbox
        .mikado("run a")
        .exits(0)
        .says("Fresh a")
        .says_nothing_of("root: fixed");
    let sandbox = sandbox.without_env("MIKADO_ISOLATION");
    let ran = sandbox.mikado("run a").exits(0);
    match kernel().mount_namespaces {
        true => ran.says("its last result was made with no mount namespace for `root: fixed`"),
        false => ran.says("Fresh a"),
    };
}

#[test]
fn where_something_is_refused_it_is_said_once_unless_it_was_chosen() {
    let sandbox = Sandbox::new()
        .runner("a", "inputs: []\nsteps: ['touch $OUT/x']")
        .card("a", "runner: a")
        .card("b", "runner: a\nrequires: [a]\nuses: []");
    sandbox
        .mikado("run b")
        .exits(0)
        .says_nothing_of(if kernel().mount_namespaces {
            "Note"
        } else {
            "Landlock here"
        });
    let sandbox = sandbox.env("MIKADO_ISOLATION", "none");
    sandbox
        .mikado("run b --force")
        .exits(0)
        .says_nothing_of("Note");
    let sandbox = sandbox
        .without_env("MIKADO_ISOLATION")
        .env("MIKADO_ISOLATION", "some");
    sandbox
        .mikado("run b")
        .exits(2)
        .says("`some` in MIKADO_ISOLATION is no way to isolate")
        .says("expected `landlock`, `namespaces` or `none`");
}

/// A limit of its user namespace: no more of some kind may be made in it.
fn without(kind: &str, sandbox: &Sandbox) -> Command {
    let mut unshare = sandbox.command("unshare");
    let script = format!("echo 0 > /proc/sys/user/max_{kind}_namespaces && exec \"$@\"");
    unshare.args(["--user", "--map-root-user", "bash", "-c", &script, "mikado"]);
    unshare.arg(program()).args(["run", "b"]);
    unshare
}

#[test]
fn a_kernel_that_refuses_namespaces_confines_by_landlock_alone_and_says_so_once() {
    if !kernel().user_namespaces {
        // Then every other test runs like that.
        return;
    }
    let sandbox = Sandbox::new()
        .file("secret", "x")
        .runner(
            "a",
            "inputs: []\nsteps: ['touch $OUT/x; ls /tmp > /dev/null || echo refused']",
        )
        .card("a", "runner: a")
        .card("b", "runner: a\nrequires: [a]\nuses: []\nwith: {}");
    let ran = sandbox.run(without("mnt", &sandbox), "run b").exits(0);
    assert_eq!(
        ran.all().matches("no namespaces here").count(),
        1,
        "{}",
        ran.all()
    );
    // Without a network of its own, the rest is had all the same.
    let sandbox = with_runner(Sandbox::new(), "inputs: []\nsteps: ['touch /tmp/x $OUT/x']")
        .card("b", "runner: a");
    sandbox
        .run(without("net", &sandbox), "run b")
        .exits(0)
        .says_nothing_of("no namespaces here");
}

#[test]
fn all_of_it_holds_for_a_user_who_is_not_root() {
    if !rustix::process::geteuid().is_root() {
        // Then all the others were that.
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("a mode");
    let (tests, mikado) = (folder.path().join("tests"), folder.path().join("mikado"));
    // By `cp`: a file that this process wrote stays busy while another thread's child has not executed yet.
    for (from, to) in [
        (std::env::current_exe().expect("this"), &tests),
        (program(), &mikado),
    ] {
        let copied = Command::new("cp").arg(from).arg(to).status().expect("cp");
        assert!(copied.success());
    }
    let mut child = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&tests)
        .args(["isolation::", "--skip", "user_who_is_not_root"])
        .env("TMPDIR", folder.path())
        .env("MIKADO_TEST_PROGRAM", mikado)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("setpriv");
    let mut said = String::new();
    child
        .stdout
        .take()
        .expect("a pipe")
        .read_to_string(&mut said)
        .expect("text");
    assert!(child.wait().expect("a child").success(), "{said}");
}

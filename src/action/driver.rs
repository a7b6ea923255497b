//! The driver: the generated script that an action executes.
//!
//! It is a function of the steps' scripts alone, finds everything from the
//! folder that it is started in, and needs bash and coreutils: the same action
//! runs here and on another machine. Where the engine did not lay a private
//! copy of the inputs (no `.mikado/staged`), it makes one, since some workers
//! hand out names of their own files: `work/` in any case, artifacts and what was
//! fetched where a file has a second name. These are links to folders there, as
//! they are here. The step that failed is said there as the last of the output
//! ([`failed_step`]).

use crate::runner::definition::Step;

/// Where it lies below the action's root.
pub const PATH: &str = ".mikado/drive";

/// The file that says that `work/` is a private copy; made by the engine.
pub const STAGED: &str = ".mikado/staged";

/// The file in which the driver writes the number of the step it starts.
pub const STEP: &str = ".mikado/step";

const BEGIN: &str = "# the driver of a mikado action\nset -euf\n";

/// Exports what steps see, from the root of an action; globbing is off. On some
/// workers that root is `/`, and no path begins with two slashes.
const EXPORTS: &str = r#"root=${PWD%/}
path=
IFS=:
for folder in $PATH; do
  case $folder in
    /*) ;;
    *) folder=$root/$folder ;;
  esac
  path=$path${path:+:}$folder
done
unset IFS folder
export PATH="$path" HOME="$root/home" TMPDIR="$root/tmp" OUT="$root/out"
export REQUIRES="$root/requires" FETCH="$root/fetch" TOOLS="$root/tools"
export RUNNER="$root/runner" CACHE="${CACHE:-$root/tmp/cache}"
# The real folder: `find` does not follow a link that it is given.
if [ -d artifact ]; then
  ARTIFACT=$(cd -P artifact && pwd)
  export ARTIFACT
fi
"#;

const STEPS: &str = r#"names() {
  ls -ARl "$1" | while read -r mode names rest; do
    case $mode in
      -*) if [ "$names" -gt 1 ]; then echo "$names"; break; fi ;;
    esac
  done
}
elsewhere=
if [ ! -e .mikado/staged ]; then
  elsewhere=1
  mkdir -p out tmp home requires fetch tools .mikado/given
  mv work .mikado/work
  cp -R .mikado/work work
  chmod -R u+w work
  for folder in requires fetch tools; do
    given=.mikado/given/$folder
    names=$(names $folder)
    if [ $folder != tools ] && [ "${names:-1}" -gt 1 ]; then
      cp -R $folder $given
      mv $folder .mikado/$folder
    else
      mv $folder $given
    fi
    mkdir $folder
    ls -A $given | while read -r name; do
      ln -s "../$given/$name" "$folder/$name"
    done
  done
fi
step() {
  number=$1
  shift
  echo "$number" > "$root/.mikado/step" || :
  cd "$root/work"
  "$@" || failed $?
}
failed() {
  [ -z "$elsewhere" ] || printf '\nmikado: step %s failed\n' "$number" >&2
  exit "$1"
}
"#;

/// What is said of the step that failed elsewhere, around its number.
const FAILED: [&str; 2] = ["\nmikado: step ", " failed\n"];

/// The number of the step that failed elsewhere, and what was printed before that
/// was said; `None` where it was not said.
pub fn failed_step(output: &[u8]) -> Option<(usize, &[u8])> {
    let [before, after] = FAILED.map(str::as_bytes);
    let said = output.strip_suffix(after)?;
    let digits = said.iter().rev().take_while(|byte| byte.is_ascii_digit());
    let (said, number) = said.split_at(said.len() - digits.count());
    let number = std::str::from_utf8(number).ok()?.parse().ok()?;
    Some((number, said.strip_suffix(before)?))
}

const OWN_HOME: &str = r#"HOME="$root/home""#;
const USER_HOME: &str = r#"HOME="${HOME:-$root/home}""#;

/// What exports to bash all that steps see, from the root of an action; globbing
/// must be off. With `user_home`, HOME is the one that it is started with.
pub fn exports(user_home: bool) -> String {
    match user_home {
        true => EXPORTS.replacen(OWN_HOME, USER_HOME, 1),
        false => EXPORTS.to_owned(),
    }
}

/// The script for `steps`.
/// With `user_home`, HOME is the one that it is started with, if there is one.
pub fn text(steps: &[Step], user_home: bool) -> String {
    let exports = exports(user_home);
    let mut text = [BEGIN, &exports, STEPS].concat();
    for (index, step) in steps.iter().enumerate() {
        text.push_str(&format!("step {}", index + 1));
        for word in step.language.argv() {
            text.push(' ');
            text.push_str(word);
        }
        text.push(' ');
        text.push_str(&quoted(&step.run));
        text.push('\n');
    }
    text
}

/// `text` as one word of a shell.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_survive() {
        assert_eq!(quoted("echo 'a'"), r"'echo '\''a'\'''");
    }

    #[test]
    fn step_that_failed_is_read_from_the_end_of_the_output() {
        let [before, after] = FAILED;
        assert_eq!(STEPS.matches("\\nmikado: step %s failed\\n").count(), 1);
        let said = format!("printed{before}12{after}");
        assert_eq!(failed_step(said.as_bytes()), Some((12, &b"printed"[..])));
        assert_eq!(failed_step(format!("{before}{after}").as_bytes()), None);
        assert_eq!(failed_step(b"mikado: step 1 failed\n"), None);
        assert_eq!(failed_step(b""), None);
    }

    #[test]
    fn names_of_steps_are_not_in_it() {
        let step = |name: &str| Step {
            name: Some(name.into()),
            run: "true".into(),
            ..Step::default()
        };
        assert_eq!(text(&[step("a")], false), text(&[step("b")], false));
    }

    #[test]
    fn the_home_folder_is_the_users_only_where_it_is_asked_for() {
        assert_eq!(EXPORTS.matches(OWN_HOME).count(), 1);
        assert!(!text(&[], false).contains(USER_HOME));
        assert!(text(&[], true).contains(USER_HOME));
    }
}

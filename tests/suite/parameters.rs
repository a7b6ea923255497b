//! Parameters: their shapes, and what scripts see of them.

use crate::support::sandbox::Sandbox;

fn sandbox() -> Sandbox {
    Sandbox::new()
        .runner(
            "show",
            "with: { names: [], settings: {}, text: '', any: ~ }\ninputs: []\nsteps: ['echo \"$WITH\" > \"$OUT/with\"; echo \"$WITH_NAMES\" > \"$OUT/names\"']",
        )
        .card("a", "status: active\nrunner: show\nwith:\n  any: 1.10\n  text: 1.10\n  names: [1, 1.10, x]")
}

#[test]
fn scripts_see_scalars_as_text_where_the_default_is_text() {
    let sandbox = sandbox();
    sandbox.mikado("run a").exits(0);
    assert_eq!(
        sandbox.read(".mikado/artifacts/a/with"),
        "{\"names\":[1,\"1.10\",\"x\"],\"settings\":{},\"text\":\"1.10\",\"any\":\"1.10\"}\n"
    );
    assert_eq!(sandbox.read(".mikado/artifacts/a/names"), "1\n1.10\nx\n");
    sandbox
        .mikado("run a --with any=3.9 --with text=3.9 --with names=")
        .exits(0);
    assert_eq!(
        sandbox.read(".mikado/artifacts/a/with"),
        "{\"names\":[],\"settings\":{},\"text\":\"3.9\",\"any\":3.9}\n"
    );
}

#[test]
fn value_of_the_wrong_shape_is_told_of_before_anything_runs() {
    let sandbox = sandbox();
    sandbox
        .mikado("run a --with names=7")
        .exits(2)
        .warns("error: `--with names=7`: the parameter `names` is a list, and `7` is given\nhelp: write a list: `names: [..]` in the card, `--with 'names=[..]'`\n");
    sandbox
        .mikado("plan a --with a:settings=[1]")
        .exits(2)
        .says("the parameter `settings` is a mapping, and a list is given");
    sandbox.edit("cards/a.md", "names: [1, 1.10, x]", "names: x");
    sandbox
        .mikado("check")
        .exits(3)
        .says("the parameter `names` is a list, and `x` is given")
        .says("cards/a.md:7:3")
        .says("write a list: `names: [..]` in the card");
    sandbox.mikado("run a").exits(3).says("cards/a.md:7:3");
    // Settings for all runners are no card's fault, and are named all the same.
    sandbox.edit("cards/a.md", "  names: x\n", "");
    sandbox.write("mikado.yaml", "with:\n  text: [a]\n");
    sandbox
        .mikado("run a")
        .exits(3)
        .says("the parameter `text` is text, and a list is given");
}

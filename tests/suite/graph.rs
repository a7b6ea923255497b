//! `graph`: each format as a whole, and that the pictures are what they say.

use snapbox::str;

use crate::support::sandbox::Sandbox;

fn plan() -> Sandbox {
    Sandbox::new()
        .runner("touch", "steps: ['touch made']\nverify: ['test -e made']")
        .runner("make", "inputs: []\nsteps: ['echo x > \"$OUT/x\"']")
        .runner("look", "verify: ['false']")
        .card(
            "wall",
            "title: Build the <wall> & more\nstatus: active\nrequires: [bricks, mortar, paint]\nuses: [kiln]\nrunner: make",
        )
        .card(
            "bricks",
            "title: Bring bricks\nstatus: active\nrequires: [kiln]\nrunner: look",
        )
        .card("mortar", "title: Mix mortar\nstatus: active\nrunner: touch")
        .card("kiln", "title: A kiln\nstatus: complete\nrunner: make")
}

#[test]
fn text_has_layers_and_says_what_requires_what() {
    plan().mikado("graph").exits(0).prints(str![[r##"
  1 complete   kiln  A kiln
    ready      mortar  Mix mortar
  2 waiting    bricks  Bring bricks
                 <- kiln
  3 blocked    wall (goal)  Build the <wall> & more
                 <- bricks, mortar, paint (no such card), kiln (used)

"##]]);
}

#[test]
fn mermaid_is_a_flowchart_with_classes() {
    let sandbox = plan();
    sandbox
        .mikado("graph --format mermaid")
        .exits(0)
        .prints(str![[r##"
flowchart TD
  c_kiln["A kiln"]:::complete
  c_bricks["Bring bricks"]:::waiting
  c_mortar["Mix mortar"]:::ready
  c_paint["paint"]:::missing
  c_wall["Build the #60;wall#62; #38; more"]:::blocked
  c_kiln --> c_bricks
  c_bricks --> c_wall
  c_mortar --> c_wall
  c_paint --> c_wall
  c_kiln -.-> c_wall
  class c_wall goal
  classDef complete fill:#dbe8fb,stroke:#5b83bd,color:#1b1f24
  classDef ready fill:#d6f3d9,stroke:#2f8f46,color:#1b1f24
  classDef waiting fill:#fdeec7,stroke:#a8780f,color:#1b1f24
  classDef stuck fill:#fbd9d7,stroke:#c0392f,color:#1b1f24
  classDef blocked fill:#eeeeee,stroke:#808080,color:#1b1f24
  classDef unreadable fill:#ffffff,stroke:#c0392f,color:#1b1f24,stroke-dasharray:5 3
  classDef missing fill:#ffffff,stroke:#c0392f,color:#1b1f24,stroke-dasharray:5 3
  classDef goal stroke-width:3px

"##]]);
    sandbox
        .mikado("graph --format mermaid --direction right --open")
        .exits(0)
        .says("flowchart LR\n")
        .says_nothing_of("kiln");
}

#[test]
fn dot_has_links_and_hints() {
    plan()
        .mikado("graph --format dot")
        .exits(0)
        .prints(str![[r##"
digraph mikado {
  rankdir=TB
  node [shape=box, style="rounded,filled", fontname="sans-serif"]
  "kiln" [label="A kiln", tooltip="kiln (complete)", class=complete, fillcolor="#dbe8fb", color="#5b83bd", URL="cards/kiln.md"]
  "bricks" [label="Bring bricks", tooltip="bricks (waiting)", class=waiting, fillcolor="#fdeec7", color="#a8780f", URL="cards/bricks.md"]
  "mortar" [label="Mix mortar", tooltip="mortar (ready)", class=ready, fillcolor="#d6f3d9", color="#2f8f46", URL="cards/mortar.md"]
  "paint" [label="paint", tooltip="paint (missing)", class=missing, fillcolor="#ffffff", color="#c0392f", style="rounded,filled,dashed"]
  "wall" [label="Build the <wall> &amp; more", tooltip="wall (blocked)", class=blocked, fillcolor="#eeeeee", color="#808080", penwidth=3, URL="cards/wall.md"]
  "kiln" -> "bricks"
  "bricks" -> "wall"
  "mortar" -> "wall"
  "paint" -> "wall"
  "kiln" -> "wall" [style=dashed]
}

"##]]);
}

#[test]
fn json_has_states_standings_and_layers() {
    plan()
        .mikado("graph --format json")
        .exits(0)
        .prints(str![[r##"
{"schemaVersion":1,"cards":[{"stem":"kiln","title":"A kiln","path":"cards/kiln.md","state":"complete","standing":"complete","goal":false,"layer":1},{"stem":"bricks","title":"Bring bricks","path":"cards/bricks.md","state":"ready","standing":"waiting","goal":false,"layer":2},{"stem":"mortar","title":"Mix mortar","path":"cards/mortar.md","state":"ready","standing":"ready","goal":false,"layer":1},{"stem":"wall","title":"Build the <wall> & more","path":"cards/wall.md","state":"blocked","standing":"blocked","goal":true,"layer":3}],"requires":[{"card":"bricks","requires":"kiln"},{"card":"wall","requires":"bricks"},{"card":"wall","requires":"mortar"}],"uses":[{"card":"wall","uses":"kiln"}],"unknown":[{"card":"wall","requires":"paint"}]}

"##]]);
}

#[test]
fn svg_is_a_picture_of_its_own() {
    let sandbox = plan();
    let ran = sandbox.mikado("graph --format svg").exits(0);
    ran.prints(str![[r##"
<svg [..]>
...
<rect class="paper" width="686" height="341"/>
<g transform="translate(20 20)">
<path d="M156 62C156 86 98 86 98 110" marker-end="url(#mikado-arrow)"><title>bricks requires kiln</title></path>
<path d="M98 172C98 205 272 205 272 239" marker-end="url(#mikado-arrow)"><title>wall requires bricks</title></path>
<path d="M330 172C330 205 272 205 272 239" marker-end="url(#mikado-arrow)"><title>wall requires mortar</title></path>
<path d="M548 172C548 205 272 205 272 239" marker-end="url(#mikado-arrow)"><title>wall requires paint</title></path>
<path class="uses" d="M156 62C156 86 214 86 214 110L214 172C214 205 272 205 272 239" marker-end="url(#mikado-arrow)"><title>wall uses kiln</title></path>
<g class="complete"><a href="cards/kiln.md"><title>kiln&#10;A kiln&#10;complete</title><rect x="58" y="0" width="196" height="62" rx="6"/><text x="156" y="30">A kiln</text><text class="how" x="156" y="54">complete</text></a></g>
<g class="waiting"><a href="cards/bricks.md"><title>bricks&#10;Bring bricks&#10;waiting</title><rect x="0" y="110" width="196" height="62" rx="6"/><text x="98" y="140">Bring bricks</text><text class="how" x="98" y="164">waiting</text></a></g>
<g class="ready"><a href="cards/mortar.md"><title>mortar&#10;Mix mortar&#10;ready</title><rect x="232" y="110" width="196" height="62" rx="6"/><text x="330" y="140">Mix mortar</text><text class="how" x="330" y="164">ready</text></a></g>
<g class="missing"><title>paint&#10;paint&#10;missing</title><rect x="450" y="110" width="196" height="62" rx="6"/><text x="548" y="140">paint</text><text class="how" x="548" y="164">no such card</text></g>
<g class="blocked goal"><a href="cards/wall.md"><title>wall&#10;Build the &lt;wall&gt; &amp; more&#10;blocked · goal</title><rect x="174" y="239" width="196" height="62" rx="6"/><text x="272" y="269">Build the &lt;wall&gt; &amp; more</text><text class="how" x="272" y="293">blocked · goal</text></a></g>
</g>
</svg>

"##]]);
    sandbox
        .mikado("graph --format svg --direction right --goal bricks")
        .exits(0)
        .says("<title>bricks requires kiln</title>")
        .says("prefers-color-scheme:dark")
        .says_nothing_of("wall");
}

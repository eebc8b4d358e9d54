#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# layers.py [--draw]: holds the sources against the floor plan below and prints every breach; exit status 1 if there is
# one. With --draw it makes docs/floor-plan.svg from the includes instead.
#
#   upward      an include from a lower floor to a higher one, or from one folder of a floor to another
#   cycle       files of different folders, of metatrain/run or of src, that include or call each other in a circle
#   file        two files of one name
#   function    two functions of one name, or a name of one word, outside tables of functions
#   word        a word that docs/glossary.md has replaced
#   private     a header of a lower layer that is not one of its public ones
#   picture     docs/floor-plan.svg is not what --draw makes
#
# A room is a .c file with its header. A call counts where the callee is defined in one file alone.
import collections
import json
import os
import re
import subprocess
import sys

# Folders by floor, top first; a folder may include what stands below it.
FLOORS = {
    "metatrain": [["."], ["bench"], ["cli"], ["simulate"], ["run"], ["eval"], ["ranks"], ["es", "formats"], ["config"],
                  ["store"], ["base"]],
    "tasks": [["."], ["models", "augment"], ["layers"], ["model"], ["data"], ["math"], ["base"]],
    "src": [["optimizers"], ["learned", "classical"], ["kernels"], ["core"], ["rng"]],
}
LAYERS = ["metatrain", "tasks", "src", "include"]  # a layer may include the public headers of those behind it
PUBLIC = {
    "include": ["lopt.h"],
    "src": ["rng/rng.h", "core/suggest.h", "kernels/job.h"],
    "tasks": ["task.h", "augment/augment.h", "data/classes.h", "data/npy.h", "data/shared.h", "data/sources.h",
              "data/synthetic.h"],
    "metatrain": [],
}
# Names of one word behind the prefix that users of the libraries rest on.
PUBLIC_API = {"lopt_clone", "lopt_create", "lopt_destroy", "lopt_get", "lopt_hyper", "lopt_info", "lopt_preset",
              "lopt_step", "lopt_theta", "lopt_threads", "lopt_version", "task_create", "task_destroy"}
STATIC_NAMES = 10  # that may stand in more than one file
GENERATED = {"double_names.h"}


# What a folder is for, for the picture.
SAYS = {
    "metatrain/.": "main: the table of commands", "metatrain/bench": "metatrain bench: speed",
    "metatrain/cli": "the other commands, one file each", "metatrain/simulate": "predicts a run on more ranks",
    "metatrain/run": "a meta-training run: rank 0 and workers", "metatrain/eval": "training curves, comparisons",
    "metatrain/ranks": "messages, membership, load balance", "metatrain/es": "unrolls, noise, gradient of theta",
    "metatrain/formats": "weights of other programs", "metatrain/config": "keys, YAML, checks",
    "metatrain/store": "HDF5: checkpoints, theta files", "metatrain/base": "errors, files, progress, plots",
    "tasks/.": "task.h, registry, families", "tasks/models": "kinds of models", "tasks/augment": "wrappers of tasks",
    "tasks/layers": "forward and backward of layers", "tasks/model": "a model is its layers in order",
    "tasks/data": "data sets and their formats", "tasks/math": "matrix products, element-wise loops",
    "tasks/base": "settings, errors, declarations", "src/optimizers": "a file a kind",
    "src/learned": "blocks of learned optimizers", "src/classical": "blocks of hand-designed ones",
    "src/kernels": "vectorised passes over tensors", "src/core": "optimizer, theta, state", "src/rng": "addressed random numbers",
    "include/.": "lopt.h, the public header",
}
PICTURE = "docs/floor-plan.svg"


def source_files():
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"] + LAYERS, capture_output=True, text=True,
                         check=True).stdout.split()
    return sorted(f for f in out if re.search(r"\.(c|h|cpp|inc)$", f) and os.path.exists(f))


def strip_comments(text):
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)
    return re.sub(r'"(\\.|[^"\\\n])*"', '""', text)


class House:
    duplicates = []  # static names in more than one file

    def __init__(self):
        self.files = source_files()
        self.text = {f: open(f, encoding="utf-8").read() for f in self.files}
        self.code = {f: strip_comments(t) for f, t in self.text.items()}
        self.faults = []
        self.find_includes()
        self.find_functions()

    def fault(self, kind, text):
        self.faults.append(f"{kind}: {text}")

    # ---- what the files say --------------------------------------------------------------------

    def find_includes(self):
        self.includes = []  # (file, included file)
        for f in self.files:
            for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', self.text[f], flags=re.M):
                if name in GENERATED:
                    continue
                places = [os.path.join(layer, name) for layer in LAYERS]
                found = [p for p in places if p in self.text]
                if len(found) != 1:
                    self.fault("private", f'{f} includes "{name}", which is not the path of one file in a layer')
                else:
                    self.includes.append((f, found[0]))

    def find_functions(self):
        out = subprocess.run(["ctags", "--languages=C,C++", "--c-kinds=f", "--c++-kinds=f", "--output-format=json",
                              "--fields=+ne", "-f", "-"] + self.files, capture_output=True, text=True, check=True).stdout
        self.functions = collections.defaultdict(list)  # name -> [(file, is static)]
        for line in out.splitlines():
            tag = json.loads(line)
            static = re.search(r"\b(static|INLINE)\b", tag.get("pattern", "")) is not None
            if (tag["path"], static) not in self.functions[tag["name"]]:
                self.functions[tag["name"]].append((tag["path"], static))

    @staticmethod
    def room(f):
        return re.sub(r"\.(c|h|cpp|inc)$", "", f)

    # ---- checks --------------------------------------------------------------------------------

    @staticmethod
    def place(f):
        """Layer, folder and floor of a file; a higher number stands higher."""
        layer, _, rest = f.partition("/")
        folder = os.path.dirname(rest) or "."
        floors = FLOORS.get(layer, [["."]])
        for i, floor in enumerate(floors):
            if folder in floor:
                return layer, folder, len(floors) - i
        return layer, folder, None

    def check_arrows(self):
        for f, to in self.includes:
            layer, folder, floor = self.place(f)
            its_layer, its_folder, its_floor = self.place(to)
            if floor is None:
                self.fault("upward", f"{f}: its folder stands on no floor of the plan (tests/layers.py)")
            elif layer != its_layer:
                if LAYERS.index(its_layer) < LAYERS.index(layer):
                    self.fault("upward", f"{f} includes {to}")
                elif to.partition("/")[2] not in PUBLIC[its_layer]:
                    self.fault("private", f"{f} includes {to}, which is not public in {its_layer}")
            elif folder != its_folder and (its_floor is None or its_floor >= floor):
                self.fault("upward", f"{f} includes {to}")

    def arrows(self):
        """room -> rooms that it includes or calls."""
        graph = collections.defaultdict(set)
        for f, to in self.includes:
            graph[self.room(f)].add(self.room(to))
        owner = {name: places[0][0] for name, places in self.functions.items()
                 if len(places) == 1 and not places[0][1] and "_" in name}
        for f in self.files:
            if f.endswith(".h"):  # declares what it does not call
                continue
            for name in set(re.findall(r"\b([A-Za-z_]\w+)\s*\(", self.code[f])):
                if name in owner:
                    graph[self.room(f)].add(self.room(owner[name]))
        for room in graph:
            graph[room].discard(room)
        return graph

    def check_cycles(self):
        graph = self.arrows()
        for circle in circles(graph):
            self.fault("cycle", " -> ".join(sorted(circle)))

    def check_files(self):
        names = collections.defaultdict(list)
        for f in self.files:
            names[os.path.basename(f)].append(f)
        for name, places in names.items():
            if len(places) > 1:
                self.fault("file", f"{name}: {', '.join(places)}")

    def is_in_table(self, f, name):
        """Whether a function is used without being called: a member of a table of functions."""
        uses = re.findall(r"\b" + name + r"\b\s*(.)", self.code[f])
        return any(c != "(" for c in uses)

    def check_functions(self):
        shared = 0
        for name, places in sorted(self.functions.items()):
            if name == "main" or name.isupper():
                continue
            outside = [f for f, static in places if not (static and self.is_in_table(f, name))]
            public = [f for f, static in places if not static]
            files = {self.room(f) for f in outside}
            if len(files) > 1:
                if public:
                    self.fault("function", f"{name} stands in {', '.join(sorted(files))}")
                else:
                    shared += 1
                    self.duplicates.append(f"{name}: {', '.join(sorted(files))}")
            words = re.sub(r"^(mt|task|lopt_rng|lopt)_+", "", name).strip("_").split("_")
            if len(words) < 2 and (public or outside) and name not in PUBLIC_API:
                self.fault("function", f"{name} ({', '.join(f for f, _ in places)}) is a name of one word")
        if shared > STATIC_NAMES:
            self.fault("function", f"{shared} static names stand in more than one file, allowed: {STATIC_NAMES}: "
                       + "; ".join(self.duplicates))

    def check_words(self):
        glossary = open("docs/glossary.md", encoding="utf-8").read()
        old = re.findall(r"^\| `([^`|]+)` \|", glossary.split("## Words that are no longer used")[-1], flags=re.M)
        if not old:
            self.fault("word", "docs/glossary.md has no table of old words")
        pattern = re.compile(r"(?<![A-Za-z])(" + "|".join(map(re.escape, old)) + r")(?![A-Za-z])")
        texts = dict(self.text)
        for f in ["README.md", "CONTRIBUTING.md"] + sorted(os.path.join("docs", d) for d in os.listdir("docs")):
            if f.endswith(".md") and f != "docs/glossary.md":
                texts[f] = open(f, encoding="utf-8").read()
        for f, text in texts.items():
            for number, line in enumerate(text.splitlines(), 1):
                if found := pattern.search(line):
                    self.fault("word", f'{f}:{number}: "{found.group(0)}" (docs/glossary.md says what to write)')

    def check_all(self):
        self.check_arrows()
        self.check_cycles()
        self.check_files()
        self.check_functions()
        self.check_words()
        if open(PICTURE, encoding="utf-8").read() != self.draw_plan():
            self.fault("picture", f"{PICTURE} is out of date: python3 tests/layers.py --draw")
        return self.faults

    # ---- the picture ---------------------------------------------------------------------------

    def draw_plan(self):
        """A row a folder in the order of the floors, a dot where it includes the folder of that column: dots lie right
        of the diagonal alone, since arrows go down."""
        folders = [f"{layer}/{folder}" for layer in LAYERS for floor in FLOORS.get(layer, [["."]]) for folder in floor]
        count = collections.Counter()
        for f, to in self.includes:
            a, b = ("/".join(self.place(x)[:2]) for x in (f, to))
            if a != b:
                count[a, b] += 1
        top, left, step = 132, 430, 22
        width, height = left + step * len(folders) + 40, top + step * len(folders) + 14
        out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
               f'font-size="13"><rect width="{width}" height="{height}" fill="#fff"/>']
        colour = {"metatrain": "#2b6cb0", "tasks": "#2f855a", "src": "#b7791f", "include": "#9b2c2c"}
        for i, folder in enumerate(folders):
            layer, y, x = folder.split("/")[0], top + step * i, left + step * i
            name = folder.replace("/.", "/")
            if i % 2 == 0:
                out.append(f'<rect x="8" y="{y}" width="{width - 16}" height="{step}" fill="#f4f5f7"/>')
            out.append(f'<text x="14" y="{y + 15}" fill="{colour[layer]}" font-weight="bold">{name}</text>')
            out.append(f'<text x="168" y="{y + 15}" fill="#333">{SAYS[folder]}</text>')
            out.append(f'<text transform="translate({x + 15} {top - 6}) rotate(-60)" fill="{colour[layer]}">{name}</text>')
            out.append(f'<rect x="{x + 3}" y="{y + 3}" width="{step - 6}" height="{step - 6}" fill="{colour[layer]}"/>')
        for (a, b), n in sorted(count.items()):
            x, y = left + step * folders.index(b) + step / 2, top + step * folders.index(a) + step / 2
            radius = 3 if n < 4 else 5 if n < 15 else 7
            out.append(f'<circle cx="{x:g}" cy="{y:g}" r="{radius}" fill="#444"><title>{a} includes {b}</title></circle>')
        return "\n".join(out) + "\n</svg>\n"


def circles(graph):
    """Strongly connected components of more than one room (Tarjan, without recursion)."""
    index, low, on, stack, found, count = {}, {}, set(), [], [], 0
    for root in list(graph):
        if root in index:
            continue
        work = [(root, iter(sorted(graph[root])))]
        index[root] = low[root] = count
        count += 1
        stack.append(root)
        on.add(root)
        while work:
            node, rest = work[-1]
            for to in rest:
                if to not in index:
                    index[to] = low[to] = count
                    count += 1
                    stack.append(to)
                    on.add(to)
                    work.append((to, iter(sorted(graph.get(to, ())))))
                    break
                if to in on:
                    low[node] = min(low[node], index[to])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    circle = []
                    while True:
                        top = stack.pop()
                        on.discard(top)
                        circle.append(top)
                        if top == node:
                            break
                    if len(circle) > 1:
                        found.append(circle)
    return found


if __name__ == "__main__":
    house = House()
    if sys.argv[1:] == ["--draw"]:
        open(PICTURE, "w", encoding="utf-8").write(house.draw_plan())
        sys.exit()
    faults = house.check_all()
    print("\n".join(faults))
    sys.exit(1 if faults else 0)

#!/usr/bin/env python3
"""Writes a program's manual page from what its --help says.

    tools/man.py PROGRAM NAME OUTPUT

The help text is made from the table of options, so that the page cannot drift
from the program. Both forms are read: the one of LLVM's option tables, and a
plain "usage:" with a list of options.
"""
import re
import subprocess
import sys

#: What stands in the page beside the options, by program.
PAGES = {
    "hrcc": {
        "what": "compiles exported PyTorch programs ahead of time",
        "synopsis": [".B hrcc\n[\\fIoptions\\fR] \\fIfile\\fR",
                     ".B hrcc\n[\\fIoptions\\fR] \\fIentry\\fR=\\fIfile\\fR ..."],
        "also": "headrace-run",
        "sections": [
            ("EXIT STATUS", "0 if the output was written. 1 after an error: "
             "all messages are on standard error, and there is no output file "
             "that was not there before. A signal that ends it ends it as any "
             "other program."),
            ("FILES", "Outputs are written under names of the form "
             "\\fB.hrcc-*.tmp\\fR in their folders and renamed when all are "
             "complete. What a killed hrcc has left is removed by the next one "
             "in the same folder. No output replaces a file that is read; devices "
             "and pipes are written to."),
            ("ENVIRONMENT", "\\fBHEADRACE_TARGET_DIR\\fR: a folder with "
             "your own hardware descriptions, and what \\fB--probe\\fR writes "
             "(default: headrace/targets in \\fBXDG_CONFIG_HOME\\fR or "
             "~/.config). \\fBTMPDIR\\fR: where \\fB--verify\\fR, standard input "
             "from a pipe, and the reproducer of a crash are kept (default: "
             "/tmp)."),
            ("EXAMPLES", ".nf\n"
             "hrcc model.pt2 -o model.so\n"
             "hrcc prefill=p.pt2 decode=d.pt2 -o lm.so\n"
             "hrcc -c model.pt2 -o model.o\n"
             "hrcc model.pt2 --target=amd-zen5 -o model.so\n"
             "hrcc model.pt2 --emit=schedule\n.fi")]},
    "headrace-run": {
        "what": "runs what hrcc compiled",
        "synopsis": [".B headrace-run\n\\fImodel.so\\fR [\\fIoptions\\fR]"],
        "also": "hrcc",
        "sections": [
            ("EXIT STATUS", "0 if the model ran and, with \\fB--compare\\fR, "
             "the outputs agreed; else 1.")]},
}


def quote(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text)


def read_entries(lines):
    """(option, help) of lines in two columns; the help may go on below."""
    column = min((match.end() for line in lines if (match := re.match(
        r"  \S+(?: \S+)*? {2,}(?=\S)| {9,}(?=\S)", line))), default=0)
    entries = []
    for line in lines:
        option, text = line[:column].strip(), line[column:].strip()
        if line[:column].rstrip() != line[:column - 1].rstrip():
            option, text = line.strip(), ""  # too long for its column
        if option:
            entries.append([option, text])
        elif entries:
            entries[-1][1] = f"{entries[-1][1]} {text}".strip()
    return entries


def read_help(text):
    """The sections with options, and the paragraphs after them."""
    sections, paragraphs, name, lines = [], [], "OPTIONS", []

    def end():
        if lines:
            sections.append((name, read_entries(lines)))

    for line in text.splitlines():
        heading = re.match(r"([A-Z][A-Z ]+)(, in order)?:( .*)?$", line)
        if heading:
            end()
            name, lines = heading[1], []
        elif line.startswith("  ") and name not in ("USAGE", "OVERVIEW"):
            lines.append(line)
        elif line and name not in ("USAGE", "OVERVIEW") and lines:
            paragraphs.append(line)
    end()
    return sections, " ".join(paragraphs)


def write_page(program, name):
    text = subprocess.run([program, "--help"], capture_output=True, text=True,
                          check=True).stdout
    page = PAGES[name]
    sections, paragraphs = read_help(text)
    out = [f'.TH {name.upper()} 1 "" "Headrace" "Headrace"',
           ".SH NAME", f"{quote(name)} \\- {page['what']}", ".SH SYNOPSIS"]
    for line in page["synopsis"]:
        out += [line, ".br"]
    out += [".SH DESCRIPTION", quote(paragraphs)]
    for heading, entries in sections:
        out.append(f".SH {heading}")
        for option, help in entries:
            out += [".TP", f".B {quote(option)}", quote(help) or "\\&"]
    for heading, body in page["sections"]:
        out += [f".SH {heading}", body]
    out += [".SH SEE ALSO", f".BR {quote(page['also'])} (1)"]
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    _, program, name, output = sys.argv
    page = write_page(program, name)
    with open(output, "w") as file:
        file.write(page)

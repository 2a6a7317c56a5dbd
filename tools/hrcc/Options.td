//===- Options.td - The command line of hrcc ---------------*- tablegen -*-===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every option of hrcc. What gcc and clang have under a name, has that name
// and meaning here.
//
//===----------------------------------------------------------------------===//
include "llvm/Option/OptParser.td"

class F<string name, string help> : Flag<["-"], name>, HelpText<help>;
class FF<string name, string help> : Flag<["--"], name>, HelpText<help>;

//===----------------------------------------------------------------------===//
def output_group : OptionGroup<"what is written">, HelpText<"OUTPUT">;
//===----------------------------------------------------------------------===//
let Group = output_group in {
def o : JoinedOrSeparate<["-"], "o">, MetaVarName<"<file>">,
    HelpText<"Write the output to <file>; - is standard output">;
def c : F<"c", "Write an object file and a C header, do not link">;
def S : F<"S", "Write assembly">;
def emit_llvm : F<"emit-llvm", "Write LLVM IR">;
def emit : Joined<["--"], "emit=">, MetaVarName<"<phase>">,
    HelpText<"Stop after <phase> and write what stands there: text to standard "
             "output unless -o names a file">;
def name : Joined<["--"], "name=">, MetaVarName<"<name>">,
    HelpText<"Name of the model: the artifact exports hr_model_<name> "
             "(default: from the output's file name)">;
def weights : Joined<["--"], "weights=">, MetaVarName<"embed|external">,
    HelpText<"Where the weights go: into the artifact, or into "
             "<output>.weights beside it (default: into a shared object; an "
             "object's large ones beside it)">;
def g : F<"g", "Write debug information: stages carry the lines of the "
               "Python program">;
def MD : F<"MD", "Write a make rule with all files read to <output>.d">;
def MMD : Flag<["-"], "MMD">, Alias<MD>, HelpText<"The same as -MD">;
def MF : JoinedOrSeparate<["-"], "MF">, MetaVarName<"<file>">,
    HelpText<"With -MD, write the make rule to <file>">;
def MT : JoinedOrSeparate<["-"], "MT">, MetaVarName<"<target>">,
    HelpText<"With -MD, the rule's target, as make reads it, instead of the "
             "output's name; may be given several times">;
def MQ : JoinedOrSeparate<["-"], "MQ">, MetaVarName<"<target>">,
    HelpText<"The same as -MT, quoted for make">;
}

//===----------------------------------------------------------------------===//
def target_group : OptionGroup<"how it is compiled">,
    HelpText<"TARGET AND OPTIMIZATION">;
//===----------------------------------------------------------------------===//
let Group = target_group in {
def O : Joined<["-"], "O">, MetaVarName<"<level>">,
    HelpText<"0: the oracle, plain loops and no fusion; 1, or nothing: fusion, "
             "quick planning; 2: the default; s: 2, since what makes code larger "
             "is in 3; 3: wider plan search, larger code">;
def target : Joined<["--"], "target=">, MetaVarName<"<description>">,
    HelpText<"Compile for a hardware description: a name of --print-targets, "
             "an .mlir file, or native (default)">;
def march : Joined<["-"], "march=">, Alias<target>,
    MetaVarName<"<description>">, HelpText<"The same as --target=">;
def j : JoinedOrSeparate<["-"], "j">, MetaVarName<"<n>">,
    HelpText<"Compile with at most <n> threads">;
def verify : FF<"verify",
    "Compile at -O0 too, and that once more in f64; run every entry of all on the "
    "same random inputs; fail where errors are larger than twice those of -O0, "
    "and say which stage is the first that differs">;
def verify_EQ : Joined<["--"], "verify=">, MetaVarName<"<file>">,
    HelpText<"The same, against another program that should compute the same: "
             "what an edited phase file was made of">;
}

//===----------------------------------------------------------------------===//
def look_group : OptionGroup<"to look inside">, HelpText<"LOOKING INSIDE">;
//===----------------------------------------------------------------------===//
let Group = look_group in {
def report : Joined<["--"], "report=">, MetaVarName<"<file>">,
    HelpText<"Write where every byte and microsecond goes: <file>.html is a "
             "page, <file>.json its data, <file>.trace.json the timelines for "
             "Perfetto; may be given several times, and without -o nothing "
             "else is written">;
def profile_use : Joined<["--"], "profile-use=">, MetaVarName<"<file>">,
    HelpText<"Show the times that headrace-run --profile measured in reports, "
             "beside the predicted ones">;
def dim_name : Joined<["--"], "dim-name=">,
    MetaVarName<"[<entry>:]<input>.<dimension>=<name>">,
    HelpText<"What to call a dynamic dimension in messages, headers, reports and "
             "--size=; may be given several times (archives hold no names)">;
def size : Joined<["--"], "size=">, MetaVarName<"<symbol>=<n>">,
    HelpText<"Size at which reports predict a program of symbolic sizes">;
def fcheck_accesses : F<"fcheck-accesses",
    "Check each element that the artifact reads or writes against what its schedule "
    "was proved by; an artifact that breaks it, by a bug in hrcc, says so and where "
    "(slow)">;
def flayouts : Joined<["-"], "flayouts=">,
    MetaVarName<"predicted|row-major|products">,
    HelpText<"In which order values between stages keep their dimensions: as is "
             "fastest by prediction (default), row-major, or wherever it can be as "
             "products of matrices want it">;
def fplan_within : Joined<["-"], "fplan-within=">, MetaVarName<"<factor>">,
    HelpText<"Instead of the fastest plan of each stage, take the slowest one that "
             "is predicted to be at most <factor> times as slow: for checking "
             "predictions">;
def v : F<"v", "Say what is done, and for how long">;
def hash_hash_hash : F<"###", "Print what would be done, and do nothing">;
def save_temps : F<"save-temps",
    "Keep what stands after each phase, in files beside the output">;
def save_temps_dashes : Flag<["--"], "save-temps">, Alias<save_temps>;
def time_passes : F<"time-passes", "Print the time of each pass">;
def Rpass : F<"Rpass", "Print what passes decided, with the predictions that "
                       "decided it">;
def fdiagnostics_format : Joined<["-"], "fdiagnostics-format=">,
    MetaVarName<"text|json">,
    HelpText<"Form of the messages on standard error">;
def fdiagnostics_color : F<"fdiagnostics-color",
    "Color messages; the same as -fdiagnostics-color=always">;
def fdiagnostics_color_EQ : Joined<["-"], "fdiagnostics-color=">,
    MetaVarName<"auto|always|never">,
    HelpText<"Color messages; auto, the default: on a terminal">;
def fno_diagnostics_color : F<"fno-diagnostics-color", "Color no messages">;
def fcolor_diagnostics : Flag<["-"], "fcolor-diagnostics">,
    Alias<fdiagnostics_color>;
def fno_color_diagnostics : Flag<["-"], "fno-color-diagnostics">,
    Alias<fno_diagnostics_color>;
}

//===----------------------------------------------------------------------===//
def info_group : OptionGroup<"information">, HelpText<"INFORMATION">;
//===----------------------------------------------------------------------===//
let Group = info_group in {
def help : FF<"help", "Print this text">;
def h : Flag<["-"], "h">, Alias<help>;
def version : FF<"version", "Print the versions of hrcc and of LLVM">;
def dumpversion : F<"dumpversion", "Print the version of hrcc alone">;
def print_targets : FF<"print-targets", "List the hardware descriptions">;
def print_target : Joined<["--"], "print-target=">,
    MetaVarName<"<description>">, HelpText<"Print a hardware description">;
def probe : FF<"probe",
    "Measure this machine (about half a minute) and write its description: to "
    "-o, or where --target=native finds it">;
}

def dash_dash : Option<["--"], "", KIND_REMAINING_ARGS>;

// For the test of the reproducer that a crash leaves.
def crash_phase : Joined<["-"], "fcrash-phase=">, Flags<[HelpHidden]>;

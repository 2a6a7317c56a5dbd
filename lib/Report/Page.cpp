//===- Page.cpp - A report as one page ------------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Puts style, script (lib/Report/page) and the report into the frame, in the
// places of `<!--style-->`, `<!--report-->`, `<!--script-->` and `<!--title-->`.
// Nothing is loaded from anywhere: the page works where there is no network.
//
//===----------------------------------------------------------------------===//
#include "Parts.h"
#include "llvm/ADT/StringExtras.h"

using namespace headrace;
using namespace headrace::report;

extern "C" {
extern const char headrace_report_style_css[];
extern const char headrace_report_page_html[];
extern const char headrace_report_util_js[];
extern const char headrace_report_times_js[];
extern const char headrace_report_roofline_js[];
extern const char headrace_report_tables_js[];
extern const char headrace_report_page_js[];
}

/// In this order: each uses what those before it declare.
static const char *const scripts[] = {
    headrace_report_util_js, headrace_report_times_js,
    headrace_report_roofline_js, headrace_report_tables_js,
    headrace_report_page_js};

/// Text inside a script element: it must not hold the element's end.
static void writeInScript(llvm::StringRef text, llvm::raw_ostream &os) {
  for (char c : text) {
    if (c == '<')
      os << "\\u003c"; // only strings of JSON hold one
    else
      os << c;
  }
}

void report::writePage(const llvm::json::Object &report,
                       llvm::raw_ostream &os) {
  std::string data;
  llvm::raw_string_ostream(data) << llvm::json::Value(
      llvm::json::Object(report));
  llvm::StringRef rest = headrace_report_page_html;
  while (!rest.empty()) {
    auto [before, after] = rest.split("<!--");
    os << before;
    if (before.size() == rest.size())
      return;
    auto [place, behind] = after.split("-->");
    rest = behind;
    if (place == "title")
      llvm::printHTMLEscaped(report.getString("name").value_or(""), os);
    else if (place == "style")
      os << "<style>\n" << headrace_report_style_css << "</style>";
    else if (place == "script")
      for (const char *script : scripts)
        os << "<script>\n" << script << "</script>\n";
    else if (place == "report") {
      os << "<script type=\"application/json\" id=\"report\">";
      writeInScript(data, os);
      os << "</script>";
    }
  }
}

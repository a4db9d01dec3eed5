// How people are told of a command that ran: its name and its output, cut to what a text of the run's log may
// hold.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "core/sandbox/sandbox.h"

namespace fabro::stages {

std::string TitleOf(std::string_view script);                         // its first line that says something
std::string KeepEnds(std::string_view text, std::size_t limit);       // head and tail, with a mark between
std::string StreamsText(std::string_view out, std::string_view err);  // both, each under its heading

// "failed with exit code 3", "was stopped after its time limit of 50 ms (SETTING)"; empty: it did what it
// should.
std::string FaultOf(const sandbox::CommandResult& result, std::chrono::milliseconds timeout,
                    std::string_view setting);

}  // namespace fabro::stages

// Early return for absl::Status and absl::StatusOr; the FABRO_CO_ forms are for coroutines.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define FABRO_STATUS_JOIN_INNER(a, b) a##b
#define FABRO_STATUS_JOIN(a, b) FABRO_STATUS_JOIN_INNER(a, b)

#define FABRO_RETURN_IF_ERROR(expression)        \
  do {                                           \
    absl::Status fabro_status = (expression);    \
    if (!fabro_status.ok()) return fabro_status; \
  } while (false)

#define FABRO_CO_RETURN_IF_ERROR(expression)        \
  do {                                              \
    absl::Status fabro_status = (expression);       \
    if (!fabro_status.ok()) co_return fabro_status; \
  } while (false)

#define FABRO_ASSIGN_OR(keyword, name, target, expression) \
  auto name = (expression);                                \
  if (!name.ok()) keyword std::move(name).status();        \
  target = *std::move(name)

#define FABRO_ASSIGN_OR_RETURN(target, expression) \
  FABRO_ASSIGN_OR(return, FABRO_STATUS_JOIN(fabro_value_, __LINE__), target, expression)

#define FABRO_CO_ASSIGN_OR_RETURN(target, expression) \
  FABRO_ASSIGN_OR(co_return, FABRO_STATUS_JOIN(fabro_value_, __LINE__), target, expression)

// The operations of the OpenAPI document: one for each verb of a path.
#pragma once

#include <vector>

#include "gateway/openapi/comments.h"
#include "gateway/openapi/schemas.h"
#include "gateway/openapi/value.h"
#include "gateway/route/route_table.h"

namespace fabro::openapi {

// The operation of routes that share a verb and path; the first is the one taken when nothing chooses
// another, and gives it its name.
Value Operation(const std::vector<const route::Route*>& routes, const Schemas& schemas,
                const Comments& comments);

// Path with the parameters' names as clients spell them: "/runs/{id}/stages/{stageId}/turns".
std::string PathText(const route::Route& route);

// Tells `schemas` what the route's bodies are.
void UseBodies(const route::Route& route, Schemas& schemas);

// components/responses: an error answer of every status that operations of these routes refer to.
Value ErrorResponses(const std::vector<const route::Route*>& routes);

}  // namespace fabro::openapi

-- SPDX-License-Identifier: Apache-2.0
-- Registers what bench/registry asks for: arguments are the number of subjects and of versions, then, to register
-- nothing twice, what comes before every name. Version v of a subject is an Avro record of about 400 bytes that has v fields
-- more with a default, so that each fits the one before; all subjects get version 1, then all get 2. Ends when all
-- are answered, and prints how many were refused.
local subjects, versions, prefix, sent, answered, refused = 0, 0, "", 0, 0, 0

function init(args)
    subjects, versions, prefix = tonumber(args[1]), tonumber(args[2]), args[3] or ""
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/vnd.schemaregistry.v1+json"
end

local function field(name, type)
    return '{\\"name\\":\\"' .. name .. '\\",\\"type\\":\\"' .. type .. '\\",\\"default\\":' ..
        (type == "string" and '\\"\\"' or '0') .. '}'
end

local common = field("identifier", "long") .. "," .. field("customer", "string") .. "," .. field("created_at_ms", "long") ..
    "," .. field("amount_in_cents", "int")

function request()
    local number = sent % subjects
    local version = math.floor(sent / subjects) + 1
    sent = sent + 1
    local fields = common
    for v = 1, version do
        fields = fields .. "," .. field("added_in_version_" .. v, "string")
    end
    local body = '{"schema":"{\\"type\\":\\"record\\",\\"name\\":\\"Record' .. prefix .. number ..
        '\\",\\"namespace\\":\\"org.example.orders\\",\\"fields\\":[' .. fields .. ']}"}'
    return wrk.format(nil, "/subjects/" .. prefix .. "orders-" .. number .. "-value/versions", nil, body)
end

function response(status)
    answered = answered + 1
    if status ~= 200 and answered <= subjects * versions then
        refused = refused + 1
    end
    if answered >= subjects * versions then
        wrk.thread:stop()
    end
end

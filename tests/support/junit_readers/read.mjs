// What readers from npm find in JUnit files: read.mjs NODE_MODULES < paths, one on each line. Prints
// {reader: {path: [first line of the message of each error]}} as JSON; a reader that throws has its words instead.
import fs from 'node:fs'
import path from 'node:path'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const folder = path.resolve(process.argv[2])
const load = async (file) => import(pathToFileURL(path.join(folder, file)).href)
const firstLine = (text) => String(text ?? '').trim().split('\n')[0]

const readers = {
  junit2json: async (file) => {
    const { parse } = await load('junit2json/dist/esm/index.js')
    const read = await parse(fs.readFileSync(file))
    const suites = read.testsuite ?? [read]
    return suites.flatMap((suite) => suite.testcase ?? []).flatMap((test) => test.error ?? [])
      .map((error) => firstLine(error.message))
  },
  'test-results-parser': async (file) => {
    const { parse } = createRequire(path.join(folder, 'x'))('test-results-parser')
    const read = parse({ type: 'junit', files: [file] })
    return read.suites.flatMap((suite) => suite.cases).filter((test) => test.status === 'FAIL')
      .map((test) => firstLine(test.failure))
  },
  'xunit-viewer': async (file) => {
    const { default: getSuites } = await load('xunit-viewer/src/cli/get-suites.js')
    const logger = { error: String, file: String }
    const suites = await getSuites(logger, [{ file, contents: fs.readFileSync(file, 'utf8') }])
    const testsOf = (suite) => [...Object.values(suite.tests ?? {}), ...Object.values(suite.suites ?? {}).flatMap(testsOf)]
    return testsOf(suites).filter((test) => test.status === 'error')
      .flatMap((test) => test.messages ?? []).map((message) => firstLine(message.value ?? message))
  }
}

const files = fs.readFileSync(0, 'utf8').split('\n').filter(Boolean)
const found = {}
for (const [name, read] of Object.entries(readers)) {
  found[name] = {}
  for (const file of files) {
    try {
      found[name][file] = await read(file)
    } catch (error) {
      found[name][file] = `${error}`
    }
  }
}
console.log(JSON.stringify(found))

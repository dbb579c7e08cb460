/**
 * Stores the sessions, grants, codes and refresh tokens of the authorization server in memory.
 *
 * The built-in memory adapter of oidc-provider prints a warning.
 */
import type { AdapterFactory, AdapterPayload } from "oidc-provider"

interface Row {
  readonly payload: AdapterPayload
  readonly expiresAt: number
}

export const make = (): AdapterFactory => {
  const rows = new Map<string, Row>()

  const deleteWhere = (predicate: (row: Row) => boolean) => {
    for (const [key, row] of rows) {
      if (predicate(row)) rows.delete(key)
    }
  }

  return (model) => {
    const key = (id: string) => `${model}:${id}`
    return {
      upsert: async (id, payload, expiresIn = Infinity) => {
        const now = Date.now()
        deleteWhere((row) => row.expiresAt <= now)
        rows.set(key(id), { payload, expiresAt: now + expiresIn * 1000 })
      },
      find: async (id) => rows.get(key(id))?.payload,
      findByUid: async (uid) => [...rows.values()].find(({ payload }) => payload.uid === uid)?.payload,
      findByUserCode: async (userCode) =>
        [...rows.values()].find(({ payload }) => payload.userCode === userCode)?.payload,
      consume: async (id) => {
        const row = rows.get(key(id))
        if (row) row.payload.consumed = Math.floor(Date.now() / 1000)
      },
      destroy: async (id) => {
        rows.delete(key(id))
      },
      revokeByGrantId: async (grantId) => deleteWhere(({ payload }) => payload.grantId === grantId)
    }
  }
}
